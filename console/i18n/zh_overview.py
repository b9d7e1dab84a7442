"""Chinese for the overview."""

from __future__ import annotations

OVERVIEW: dict[str, str] = {
    "Age / maximum": "距上次列举 / 上限",
    "Changed in the last 24 hours": "最近 24 小时的变更",
    "Documents by run": "各次运行的文档数",
    "Documents that changed": "查看变更的文档",
    "Errors by run": "各次运行的错误",
    "Hours between listings": "列举间隔（小时）",
    "{count} s": "{count} 秒",
    "{count} min": "{count} 分钟",
    "{count} h": "{count} 小时",
    "{count} d": "{count} 天",
    "Look": "查看",
    "a run failed": "运行失败",
    "a blocking check failed": "阻断性检查未通过",
    "the source was not compared in time": "未按时完成比对",
    "deletions wait for an approval": "有删除等待批准",
    "too many inputs could not be used": "无法使用的输入过多",
    "the stream stands still until an operator acts": "流已暂停，等待运维处理",
    "rows are dated in the future and are left out": "有日期在未来的行，未被读取",
    "an index generation was damaged and is filled again; check its disk": "有索引代损坏，正在重新填充；请检查磁盘",
    "no heartbeat: {names}": "没有心跳：{names}",
    "does not load: {names}": "无法加载：{names}",
    "service unavailable, {names}": "服务不可用，{names}",
    "No document was added, changed, deleted or quarantined.": "没有新增、变更、删除或隔离的文档。",
    "Retry or discard what is in quarantine": "重试或舍弃隔离的内容",
    "Review and approve the deletions": "核对并批准删除",
    "Runs of the last 24 hours": "最近 24 小时的运行",
    "See the reason and the remedy": "查看原因和处理办法",
    "See why and retry": "查看原因并重试",
    "See why and sync": "查看原因并同步",
    "See the figures and decide": "查看数据并决定",
    "The gate refused the generation {generation}: {checks}": "门禁未通过索引代 {generation}：{checks}",
    "Job": "作业",
    "Source or job": "数据源或作业",
    "succeeded": "成功",
    "{count} runs: {sources} sources, {jobs} other jobs, {failed} failed": (
        "{count} 次运行：{sources} 个数据源，{jobs} 个其他作业，{failed} 次失败"
    ),
    "{time}: searches moved to {name}": "{time}：检索切换到 {name}",
}
