"""Chinese for the states of sources. The English sentences come from the platform; a test compares the two lists."""

CONDITIONS: dict[str, str] = {
    "new: not read yet": "新建：尚未读取",
    "listing: {count} new or changed documents so far": "正在列举：目前有 {count} 个新增或更改的文档",
    "embedding {percent} %": "正在嵌入：{percent} %",
    "embedding {percent} % ({left} left)": "正在嵌入：{percent} %（还需 {left}）",
    "indexing {count} documents": "正在索引 {count} 个文档",
    "checking what was indexed": "正在检查索引结果",
    "waiting for a free run slot": "等待空闲的运行名额",
    "waiting for a free run slot, sources before it: {ahead}": "等待空闲的运行名额，前面还有 {ahead} 个数据源",
    "waiting for embedding": "等待嵌入",
    "waiting for embedding, sources before it: {ahead}": "等待嵌入，前面还有 {ahead} 个数据源",
    "waiting for embedding, sources before it: {ahead}, about {left}": (
        "等待嵌入，前面还有 {ahead} 个数据源，约需 {left}"
    ),
    "waiting for the next run: {count} documents are not searchable yet": "等待下次运行：{count} 个文档尚不可检索",
    "waiting for the next run: {count} approved deletions": "等待下次运行：{count} 项已批准的删除",
    "waiting for a stream worker: {count} changes": "等待流处理进程：{count} 项更改",
    "waiting for Dagster, which has not reported since {since}": "等待 Dagster：自 {since} 起没有报告",
    "waiting for Dagster, which has not reported yet": "等待 Dagster：尚未报告",
    "up to date": "已是最新",
    "stale since {since}": "自 {since} 起已过期",
    "degraded: {count} quarantined": "部分可用：{count} 项被隔离",
    "failed: {reason}": "失败：{reason}",
    "failed since {since}: {reason}": "自 {since} 起失败：{reason}",
    "paused since {since}": "自 {since} 起已暂停",
    "paused: its tenant is suspended": "已暂停：所属租户已停用",
    "paused: its tenant is being erased": "已暂停：所属租户正在清除",
    "no source file configures it any more": "已没有配置它的数据源文件",
    "no source file configures it any more: {count} documents stay searchable": "源文件已缺失：{count} 个文档仍可检索",
    "held for approval: {count} deletions": "待批准：{count} 项删除",
    "held: the tenant's budget of stored documents is used up": "已暂缓：租户的文档存储预算已用完",
    "{name}: {condition}": "{name}：{condition}",
    "Not all is searchable yet: {names}": "尚未全部可检索：{names}",
    "It has failed since {since} and is tried again: {reason}": "自 {since} 起失败，正在重试：{reason}",
    "Applications push to this source or a topic feeds it; it has no runs to start or pause.": (
        "该数据源由应用推送或由主题供给，没有可以启动或暂停的运行。"
    ),
    "Choose thumbs up or thumbs down first; nothing was saved.": "请先选择赞或踩；尚未保存。",
    "no servers": "没有服务",
    "queued": "排队中",
    "unknown": "未知",
}
