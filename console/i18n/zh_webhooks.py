"""Chinese for the page Webhooks."""

from __future__ import annotations

WEBHOOKS: dict[str, str] = {
    "Webhooks": "Webhook",
    "Webhook": "Webhook",
    "Other systems are notified of documents, sources, generations and alerts. A message has ids, locators and"
    " reasons, and never text of a document.": (
        "文档、数据源、索引代和告警的变化会通知其他系统。消息只包含 ID、位置和原因，绝不包含文档正文。"
    ),
    "Subscriptions": "订阅",
    "Deliveries": "投递记录",
    "Address": "地址",
    "Events": "事件",
    "Event": "事件",
    "About": "对象",
    "Tries": "尝试次数",
    "Last answer": "最近响应",
    "Duration": "耗时",
    "Next try": "下次尝试",
    "Delivery": "投递",
    "Happened": "发生时间",
    "on": "启用",
    "off": "停用",
    "failing": "投递失败",
    "delivered": "已送达",
    "not sent yet": "待发送",
    "not delivered": "未送达",
    "Nothing is sent yet. Create a webhook.": "尚无订阅。请新建 Webhook。",
    "Nothing was sent.": "没有投递记录。",
    "Create a webhook": "新建 Webhook",
    "Create webhook": "新建",
    "Messages are posted there. It must begin with https:// and be public, unless an operator allows its network.": (
        "消息以 POST 方式发往该地址。地址须以 https:// 开头并可公开访问，除非运维人员放行其网络。"
    ),
    "When none is chosen, all are sent, also those of later releases.": (
        "不选择时发送全部事件，包括后续版本新增的事件。"
    ),
    "All": "全部",
    "Newer": "较新",
    "Older": "较早",
    "Refresh": "刷新",
    "Waiting": "待发送",
    "This secret verifies the messages to {name}:": "用此密钥验证发往 {name} 的消息：",
    "It was switched off by itself, because its receiver said that it is gone: {code}.": (
        "接收方表示地址已永久失效，因此已自动停用：{code}。"
    ),
    "{count} messages in a row did not arrive. They are tried again.": "连续 {count} 条消息未送达，将自动重试。",
    "Delivery {number} is sent; see the tab Deliveries.": "投递 {number} 已发出，结果见“投递记录”。",
    "The webhook is off. What happens now is not sent later.": "Webhook 已停用，期间发生的事件不会补发。",
    "The webhook is on.": "Webhook 已启用。",
    "There is a new secret. The old one signs as well for a while.": "已生成新密钥，旧密钥在一段时间内仍同时签名。",
    "The webhook and its log are deleted.": "Webhook 及其投递记录已删除。",
    "Send a test": "发送测试",
    "Sends the event webhook.test.": "发送事件 webhook.test。",
    "Messages are signed with both secrets for a while, so that the receiver can change without a gap.": (
        "在一段时间内消息同时用新旧密钥签名，接收方可平滑切换。"
    ),
    "New secret": "更换密钥",
    "What happens while a webhook is off is not sent later.": "停用期间发生的事件不会补发。",
    "Switch on": "启用",
    "Switch off": "停用",
    "Its log is deleted too. It cannot be undone.": "其投递记录也会删除，且无法撤销。",
    "To {name}": "发往 {name}",
    "Delivery {number} is sent again.": "投递 {number} 将重新发送。",
    "{count} deliveries are sent again.": "将重新发送 {count} 条投递。",
    "The receiver knows a repeated message by its webhook-id.": "接收方可凭 webhook-id 识别重复消息。",
    "Send again": "重新发送",
    "Every delivery of this webhook that failed is sent again.": "该 Webhook 所有失败的投递都会重新发送。",
    "Send all failed again": "重发全部失败项",
}
