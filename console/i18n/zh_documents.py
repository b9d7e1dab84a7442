"""Chinese for the page of documents."""

from __future__ import annotations

DOCUMENTS: dict[str, str] = {
    "A change was pushed: {detail}": "收到一次推送的变更：{detail}",
    "A newer change was pushed and is being applied.": "有更新的变更已推送，正在处理。",
    "A permission ended. Searches leave it out until the index has applied that.": (
        "有读取权限已被收回。索引完成更新之前，检索不会返回此文档。"
    ),
    "Action: {detail}": "操作：{detail}",
    "Any time": "不限时间",
    "As far as it is kept: pushes and actions for as long as their logs, citations by rated answers.": (
        "仅限仍保留的记录：推送和操作随其日志保留，引用只统计被评价过的回答。"
    ),
    "Between two days": "指定日期",
    "By": "操作者",
    "By name": "按名称",
    "Changed: version {version}": "内容变更：版本 {version}",
    "Chunk {number}: characters {start} to {end}, {tokens} tokens, {vector}": (
        "第 {number} 块：第 {start} 至 {end} 个字符，{tokens} 个词元，{vector}"
    ),
    "Cited": "被引用",
    "Cited by a rated answer, the last of {times}": "被一个评价过的回答引用（共 {times} 次，此为最近一次）",
    "Content": "内容",
    "Could not be used: {detail} ({times} attempts)": "无法使用：{detail}（已尝试 {times} 次）",
    "Cuts the stored text again, embeds what has no vector, and writes it to every generation that receives writes."
    " It can be found meanwhile. To read it from its source again, sync the source.": (
        "对已存正文重新分块，补上缺少的向量，并写入所有接收写入的索引代。期间仍可检索到。若要从数据源重新读取，请同步该数据源。"
    ),
    "Days": "日期",
    "Deleted": "已删除",
    "Deletes the document from the store and the index. It can be pushed again.": (
        "从存储和索引中删除此文档。推送方可以再次推送。"
    ),
    "Discard": "舍弃",
    "Enter words or a question. The search finds what you may read and what is in the index now.": (
        "请输入关键词或问题。只检索您有权阅读且已在索引中的内容。"
    ),
    "Erase": "彻底清除",
    "Everyone in the group {name}": "用户组 {name} 的所有成员",
    "Everyone in the tenant": "租户内所有人",
    "Everything that matches, at most {count} documents.": "导出全部匹配项，最多 {count} 个文档。",
    "Export CSV": "导出 CSV",
    "First stored": "首次入库",
    "Generations": "索引代",
    "Index again": "重新索引",
    "It has no metadata.": "没有元数据。",
    "It stays out until it changes.": "在内容变更之前不再收录。",
    "The same text is in {names} too: each copy is found by itself.": "{names} 中有相同的文字：每一份都可被检索到。",
    "It was deleted; nothing but its name is kept.": "此文档已删除，只保留名称。",
    "It will be tried again.": "将再次尝试。",
    "It will be written again to: {names}.": "将重新写入：{names}。",
    "Its history": "历史",
    "Its newest content could not be used ({reason}, {attempts} attempts).": (
        "最新内容无法使用（{reason}，已尝试 {attempts} 次）。"
    ),
    "Its newest content was discarded ({reason}): it stays out until it changes.": (
        "最新内容已被舍弃（{reason}）：在内容变更之前不再收录。"
    ),
    "Its source": "所属数据源",
    "Its source gave it no readers and has no default for them: nobody may read it.": (
        "数据源没有说明谁可以阅读，也没有默认的访问控制：无人可读。"
    ),
    "Largest first": "从大到小",
    "Last 24 hours": "最近 24 小时",
    "Last 30 days": "最近 30 天",
    "Last 7 days": "最近 7 天",
    "Last hour": "最近 1 小时",
    "Look in": "查找范围",
    "Metadata": "元数据",
    "Next page": "下一页",
    "Newest change first": "最新变更在前",
    "No document matches. Check that the source contains it and has run.": (
        "没有匹配的文档。请确认数据源包含该文档并且已经运行过。"
    ),
    "No generation is active, so nothing can be found.": "没有正在使用的索引代，因此无法检索。",
    "No run was started ({code}): the next one does it.": "未能启动运行（{code}）：下一次运行时处理。",
    "No text is stored.": "没有存储正文。",
    "Nobody may read it.": "无人可读。",
    "Nothing is recorded.": "没有记录。",
    "Noticed while reading": "读取时的发现",
    "Oldest change first": "最早变更在前",
    "Order": "排序",
    "Part of a path, a title or an id": "路径或标题的一部分，或文档 ID",
    "Previous page": "上一页",
    "Removes every trace, also from the audit log, and proves it by a receipt. It is done on the machine of the"
    " platform, with its operator's rights. A source that still has the document brings it back: delete it there"
    " first.": (
        "清除所有痕迹（包括审计日志中的名称），并出具凭据。须在平台所在的机器上以运维权限执行。"
        "若数据源中仍有此文档，它会再次入库：请先在数据源中删除。"
    ),
    "Runs of its source": "所属数据源的运行",
    "Stored for the first time": "首次入库",
    "Stored version: {version}": "已存版本：{version}",
    "Text and chunks": "正文与文本块",
    "The active generation {generation} has version {version}, the newest.": (
        "当前索引代 {generation} 中是最新版本 {version}。"
    ),
    "The active generation {generation} still has version {version}; {current} waits for the next run.": (
        "当前索引代 {generation} 中仍是版本 {version}，版本 {current} 等待下一次运行。"
    ),
    "The deletion was accepted as change {number}; it is no longer found within a second.": (
        "删除请求已受理（变更 {number}），一秒内将不再被检索到。"
    ),
    "The document itself says so.": "由文档自身指定。",
    "The next run tries this input again, with its attempts reset.": "下一次运行会重新尝试此输入，尝试次数归零。",
    "The stream worker does it in its next round.": "由流处理进程在下一轮处理。",
    "The text is longer than what is shown.": "正文过长，未全部显示。",
    "The user {name}": "用户 {name}",
    "This input stays out until it changes.": "在内容变更之前不再收录此输入。",
    "This is the default of its source: the document itself names nobody.": "这是数据源的默认设置：文档自身没有指定。",
    "To delete it, delete it at its source: the next run then removes it here.": (
        "如需删除，请在数据源中删除：下一次运行会在此移除。"
    ),
    "Try again": "重试",
    "Version {current} waits for the next run, which writes it to the active generation {generation}.": (
        "版本 {current} 等待下一次运行写入当前索引代 {generation}。"
    ),
    "Version {version} was written to the generation {detail}": "版本 {version} 已写入索引代 {detail}",
    "Versions": "版本",
    "What happened": "事件",
    "Words or a question": "关键词或问题",
    "before this was recorded": "早于开始记录之时",
    "no vector yet": "尚无向量",
    "with vector": "有向量",
    "{count} chunks have no vector yet.": "{count} 个文本块尚无向量。",
    "{first} to {last} of {all}": "第 {first} 至 {last} 个，共 {all} 个",
    "Details in English: {text}": "英文原文：{text}",
    "all but deleted": "除已删除外全部",
    "all, deleted ones too": "全部，含已删除",
}
