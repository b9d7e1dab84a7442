"""Chinese for the page of traces."""

from __future__ import annotations

TRACES: dict[str, str] = {
    "Traces": "链路追踪",
    "traces": "链路追踪",
    "Refresh": "刷新",
    "There is no such trace, or it is not kept any more.": "没有此追踪，或已不再保留。",
    "Requests, pushes and runs of all tenants, without the text of questions and documents.": (
        "所有租户的请求、推送和运行，不含问题与文档的文本。"
    ),
    "Trace id": "追踪 ID",
    "from a log line": "取自日志行",
    "No traces yet. They appear a few seconds after a request.": "暂无追踪。请求完成几秒后即会出现。",
    "Took at least": "耗时至少",
    "First span": "首个跨度",
    "Took (ms)": "耗时（毫秒）",
    "Spans": "跨度数",
    "No trace matches.": "没有符合条件的追踪。",
    "Trace {trace}": "追踪 {trace}",
    "{spans} spans in {total} ms, begun {time}.": "共 {spans} 个跨度，耗时 {total} 毫秒，始于 {time}。",
    "{more} further spans are not shown.": "另有 {more} 个跨度未显示。",
    "Milliseconds": "毫秒",
    "Span": "跨度",
    "Begins after (ms)": "开始于（毫秒）",
    "Attributes of a span": "跨度的属性",
    "Attribute": "属性",
    "This span has none.": "此跨度没有属性。",
}
