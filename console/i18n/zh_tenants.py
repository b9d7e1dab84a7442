"""Chinese for the page Tenants."""

from __future__ import annotations

TENANTS: dict[str, str] = {
    "Tenants": "租户",
    "suspended": "已停用",
    "being erased": "正在清除",
    "erased": "已清除",
    "answer model": "回答模型",
    "embedding model": "嵌入模型",
    "nowhere": "不外发",
    "source file": "数据源文件",
    "policy of the tenant": "租户策略",
    "Only the first 10,000 are shown.": "仅显示前 10,000 个。",
    "Text may go to": "文本可发往",
    "Changed by": "修改者",
    "Changed": "修改时间",
    "No tenant yet. The first source or account makes one.": "尚无租户。添加首个数据源或账户时即会产生。",
    "Create a tenant": "新建租户",
    "Create tenant": "新建租户",
    "The tenant {name} is created. Accounts, keys and sources can name it now.": (
        "租户 {name} 已创建，可在账户、密钥和数据源中使用。"
    ),
    "It has the egress policy of the installation until it gets another.": "在另行设置之前，沿用本系统的外发策略。",
    "The tenant {name} is suspended. Nothing of it is lost.": "租户 {name} 已停用，数据全部保留。",
    "The tenant {name} is active.": "租户 {name} 已启用。",
    "The tenant {name} is closed and is being erased. Its receipt appears here.": (
        "租户 {name} 已关闭并正在清除，完成后此处显示清除凭证。"
    ),
    "Its tokens, keys and sessions are refused within a second, and its sources make no runs.": (
        "其令牌、密钥和会话将在一秒内被拒绝，其数据源不再运行。"
    ),
    "Suspend": "停用",
    "Resume": "恢复",
    "Its tokens, keys, sessions and sources work again.": "其令牌、密钥、会话和数据源恢复使用。",
    "Type the name to erase it": "输入租户名称以清除",
    "Every document, row, point and file of it is removed for good. Export it first.": (
        "其全部文档、记录、向量和文件将被永久删除，请先导出。"
    ),
    "Erase": "清除",
    "Download {name}": "下载 {name}",
    "The archive is ready: {size} MB.": "归档已生成：{size} MB。",
    "Rows as JSON lines with a manifest and checksums. Source files are added by `rag tenant export`.": (
        "以 JSON 行导出全部记录，附清单与校验和。数据源文件须用 `rag tenant export` 导出。"
    ),
    "Export": "导出",
    "Receipt of the last erasure": "最近一次清除的凭证",
    "Where its text may go": "文本外发策略",
    "What is not allowed is refused before it leaves. Models on our own hosts need no permission.": (
        "未获允许的文本在发出之前即被拒绝。本系统自有主机上的模型无须许可。"
    ),
    "Set by": "设置来源",
    "as the installation says": "沿用系统设置",
    "The tenant": "租户",
    "One of its sources": "其中一个数据源",
    "Its text may go to": "文本可发往",
    "only to what is ticked": "仅限勾选的模型",
    "Text of {name} may then go to: {uses}.": "此后 {name} 的文本可发往：{uses}。",
    "as its tenant": "与租户相同",
    "The egress policy of {name} is changed; it holds within a second.": "{name} 的外发策略已修改，一秒内生效。",
    "Change the policy": "修改策略",
    "Text that is refused is not sent. Answers say so.": "被拒绝的文本不会发送，回答中会注明。",
    "The egress policy keeps this from the answer model. These are quotes of the sources.": (
        "按外发策略，内容未发送给回答模型。以下为资料原文。"
    ),
    "The egress policy keeps these passages from the reranker. They are in the order of retrieval.": (
        "按外发策略，内容未发送给重排模型，按检索顺序排列。"
    ),
}
