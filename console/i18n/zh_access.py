"""Chinese for the page Access."""

from __future__ import annotations

ACCESS: dict[str, str] = {
    "API keys": "API 密钥",
    "Accounts": "账户",
    "Sessions": "会话",
    "Access tokens": "访问令牌",
    "Off: only the tenant {name}.": "关闭时只显示租户 {name}。",
    "Key": "密钥",
    "Purpose": "用途",
    "Scopes": "权限范围",
    "Groups": "用户组",
    "Created by": "创建者",
    "Last used": "上次使用",
    "Expires": "到期时间",
    "valid": "有效",
    "revoked": "已吊销",
    "expired": "已过期",
    "No API key matches.": "没有符合条件的 API 密钥。",
    "The key {name} is revoked; it is refused within a second.": "密钥 {name} 已吊销，一秒内即被拒绝。",
    "Programs that send this key are refused from then on. It cannot be undone; create another key.": (
        "此后使用该密钥的程序将被拒绝。此操作无法撤销，需要时请另建密钥。"
    ),
    "Revoke": "吊销",
    "Platform": "平台",
    "Last sign-in": "上次登录",
    "Failed since": "此后失败次数",
    "No account matches. Where an identity provider knows the people there are none.": (
        "没有符合条件的账户。由身份提供方管理人员时，此处没有账户。"
    ),
    "{count} failed sign-ins since the last one that succeeded, the last at {time}.": (
        "自上次成功登录以来失败 {count} 次，最近一次在 {time}。"
    ),
    "{name} may try again at once.": "{name} 现在可以重试登录。",
    "The account {name} is removed and its sessions have ended.": "账户 {name} 已删除，其会话已结束。",
    "Somebody who failed to sign in too often waits 30 seconds. This ends the wait, whatever the address.": (
        "登录失败次数过多须等待 30 秒。此操作立即结束等待，不限来源地址。"
    ),
    "Unlock": "解锁",
    "The person cannot sign in any more, and every token of theirs is refused within a second.": (
        "此人将无法再登录，其所有令牌在一秒内失效。"
    ),
    "Remove": "删除",
    "Tokens that are used at the console now, also those of an identity provider. They are not stored.": (
        "目前用于控制台的令牌，包括身份提供方签发的令牌。令牌本身不会存储。"
    ),
    "Person": "人员",
    "This one": "当前会话",
    "Signed in": "登录时间",
    "Session": "会话",
    "No open session matches.": "没有符合条件的会话。",
    "The session of {name} has ended.": "{name} 的会话已结束。",
    "Its token is refused everywhere within a second. The person can sign in again.": (
        "其令牌在一秒内于各处失效，此人可以重新登录。"
    ),
    "End session": "结束会话",
    "Tokens are signed by the identity provider, or by `rag token` on one machine, and are not stored: there is"
    " no list of them, and none can be created here. A program that needs lasting access gets an API key.": (
        "令牌由身份提供方签发，单机环境由 `rag token` 签发，平台不存储令牌，因此没有令牌列表，也不能在此创建。"
        "需要长期访问的程序请使用 API 密钥。"
    ),
    "Subject": "主体",
    "Refused if issued before": "拒绝此前签发的令牌",
    "Revoked by": "吊销者",
    "Matters until": "有效至",
    "No tokens are revoked.": "没有已吊销的令牌。",
    "Filter": "筛选",
    "Words that stand anywhere in a row.": "匹配行中任意位置的词语。",
    "Only the newest 10,000 are shown.": "仅显示最新的 10,000 条。",
    "Choose a row to act on it.": "选择一行以进行操作。",
    "Its audit entries": "相关审计记录",
    "Create an API key": "创建 API 密钥",
    "What the key is for, such as nightly-report.": "密钥的用途，例如 nightly-report。",
    "Days until it expires": "有效天数",
    "What the key may do, within its tenant.": "密钥在其租户内可以执行的操作。",
    "Groups, separated by commas": "用户组（以逗号分隔）",
    "Documents of these groups can be found with it.": "使用该密钥可以检索这些用户组的文档。",
    "Create key": "创建密钥",
    "Create an account": "创建账户",
    "Lower-case letters, digits, dot, dash and underscore.": "小写字母、数字、点、连字符和下划线。",
    "Role": "角色",
    "Documents of these groups can be read by the person.": "此人可以阅读这些用户组的文档。",
    "Also act on the platform": "同时管理平台",
    "Generations, deployments, every tenant.": "索引代、部署以及所有租户。",
    "Create account": "创建账户",
    "Revoke the tokens of a subject": "吊销某一主体的令牌",
    "Every token that was issued to it until now is refused within a second. New tokens work.": (
        "此前签发给它的所有令牌在一秒内失效，新令牌不受影响。"
    ),
    "Subject (`sub` of the tokens)": "主体（令牌中的 `sub`）",
    "Revoke tokens": "吊销令牌",
    "The tokens of this subject are refused:": "以下主体的令牌已失效：",
    "The key {name} was created.": "密钥 {name} 已创建。",
    "The account {name} was created. Its password:": "账户 {name} 已创建，密码如下：",
    "Copy it now: it is shown only this once and stored nowhere.": "请立即复制：仅显示这一次，不会存储。",
    "I have copied it": "已复制",
    "Tenant (empty: yours)": "租户（留空为本租户）",
}
