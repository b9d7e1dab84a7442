"""Chinese for the overview."""

from __future__ import annotations

OVERVIEW: dict[str, str] = {
    "Age / maximum": "距上次列举 / 上限",
    "Changed in the last 24 hours": "最近 24 小时的变更",
    "Documents by run": "各次运行的文档数",
    "Documents that changed": "查看变更的文档",
    "Errors by run": "各次运行的错误",
    "Hours between listings": "列举间隔（小时）",
    "Look": "查看",
    "No document was added, changed, deleted or quarantined.": "没有新增、变更、删除或隔离的文档。",
    "Retry or discard what is in quarantine": "重试或舍弃隔离的内容",
    "Review and approve the deletions": "核对并批准删除",
    "Runs of the last 24 hours": "最近 24 小时的运行",
    "See the reason and the remedy": "查看原因和处理办法",
    "See why and retry": "查看原因并重试",
    "See why and sync": "查看原因并同步",
    "succeeded": "成功",
    "{count} runs of {sources} sources, {failed} failed": "{sources} 个数据源的 {count} 次运行，{failed} 次失败",
    "{time}: searches moved to {name}": "{time}：检索切换到 {name}",
}
