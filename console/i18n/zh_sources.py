"""Chinese for the pages that add, change and remove sources."""

from __future__ import annotations

SOURCES: dict[str, str] = {
    "The folder of source files is read-only here, so a merge request was opened. The source appears"
    " with the deployment after it is merged.": (
        "此处的数据源文件夹为只读，因此已创建合并请求。合并后，数据源将在下一次部署时出现。"
    ),
    "Open the merge request": "打开合并请求",
    "A run has been {status}.": "运行状态：{status}。",
    "A run that does this is under way: {id}. No second one was started.": "已有运行在做此事：{id}，未另行启动。",
    "Add another source": "再添加一个数据源",
    "Ask about this source": "就此数据源提问",
    "Back": "上一步",
    "Next": "下一步",
    "Choose {kind}": "选择“{kind}”",
    "Close": "关闭",
    "Compare the whole source": "完整比对数据源",
    "Connected. Items found: {count}.": "连接成功，找到 {count} 个条目。",
    "Connecting …": "正在连接……",
    "Count what would be removed": "统计将删除的内容",
    "Counting …": "正在统计……",
    "Create it although it cannot be read now": "即使现在无法读取也创建",
    "Create source": "创建数据源",
    "Cron expression": "Cron 表达式",
    "Delete": "删除",
    "Delete source": "删除数据源",
    "Deleting …": "正在删除……",
    "Download the file": "下载文件",
    "Download the receipt": "下载回执",
    "Edit": "编辑",
    "Edit or delete {source}": "编辑或删除 {source}",
    "Everyone of the tenant": "租户内所有人",
    "Everyone who signs in for the tenant {tenant} finds these documents.": (
        "登录租户 {tenant} 的所有人都能检索到这些文档。"
    ),
    "Files": "文件",
    "Files are kept by the platform itself. At most {count} files of {size} MB at once.": (
        "文件由平台保存。每次最多 {count} 个文件，每个不超过 {size} MB。"
    ),
    "First run": "首次运行",
    "Folders": "文件夹",
    "Go back and correct the connection, or read again.": "请返回修改连接设置，或重新读取。",
    "Hosts": "主机",
    "How it is cut into chunks": "分块方式",
    "Item": "条目",
    "Loading the new source into Dagster …": "正在将新数据源载入 Dagster……",
    "Loading the sources into Dagster …": "正在将数据源载入 Dagster……",
    "Name of the source": "数据源名称",
    "What a comparison no longer finds is deleted. When that is more than {share} of the documents, and {count} at "
    "least, nothing is deleted until somebody approves it.": (
        "比对时不再出现的文档会被删除。若超过文档总数的 {share} 且不少于 {count} 个，则在有人批准之前不删除任何文档。"
    ),
    "Next times ({zone}): {times}": "接下来的时间（{zone}）：{times}",
    "No stream worker took the request.": "没有流处理进程接收此请求。",
    "Nobody finds these documents until their source reports who may read them.": (
        "在数据源报告访问权限之前，任何人都检索不到这些文档。"
    ),
    "Nobody, until the source itself reports permissions": "任何人都不可读，直到数据源自己报告权限",
    "Not done: {code}.": "未完成：{code}。",
    "Of the tenant {tenant}, only {who} find these documents.": "租户 {tenant} 中，只有{who}能检索到这些文档。",
    "One entry a line: group:NAME or user:NAME": "每行一项：group:名称 或 user:名称",
    "Only certain groups and people": "仅限指定的组和人员",
    "Open the source file": "打开数据源文件",
    "Preview": "预览",
    "Read again": "重新读取",
    "Reading the first items …": "正在读取前几个条目……",
    "Reading …": "正在读取……",
    "Reads the file of the source, which can then be changed, tested and saved.": (
        "读取数据源文件，之后可以修改、测试并保存。"
    ),
    "Removes the source file, its documents from every index, and what the platform remembers of it.": (
        "删除数据源文件、它在所有索引中的文档，以及平台记录的相关状态。"
    ),
    "Save": "保存",
    "Saved. The next run uses it.": "已保存，下次运行时生效。",
    "Searches find chunks. These are the first of the first documents.": (
        "检索的结果是分块。以下是前几个文档的前几个分块。"
    ),
    "Secrets": "密钥",
    "Several are separated by commas.": "多项用逗号分隔。",
    "Some items cannot be used:": "有些条目无法使用：",
    "Source file (YAML)": "数据源文件（YAML）",
    "Sources of your tenant may use: {lists}": "您所在租户的数据源可以使用：{lists}",
    "Test connection": "测试连接",
    "The documents are hidden; an index has still to apply it. Delete the source again later.": (
        "文档已隐藏，但还有索引尚未应用删除。请稍后再次删除此数据源。"
    ),
    "The first documents can be asked about now.": "现在可以就首批文档提问了。",
    "The folder of source files is read-only here. Commit this file as {file} where it comes from; the source appears"
    " with the next deployment.": (
        "此处的数据源文件夹是只读的。请将此文件以 {file} 为名提交到其来源仓库，数据源将在下次部署后出现。"
    ),
    "The listing did not come to its end: {code}.": "列举未能完成：{code}。",
    "The run ended: {status}. Its page under Pipeline says why.": "运行已结束：{status}。原因见“流水线”页面。",
    "The secret itself never goes here: name a variable of the platform (RAG_SECRET_…) or a file.": (
        "这里绝不填写密钥本身：请填写平台的环境变量名（RAG_SECRET_…）或文件路径。"
    ),
    "The source cannot be read: {code}.": "无法读取数据源：{code}。",
    "The source has no items.": "数据源中没有条目。",
    "The source {name} is deleted.": "数据源 {name} 已删除。",
    "The source {name} is written to {file}.": "数据源 {name} 已写入 {file}。",
    "This file is the source. It can be changed here; every option of its kind may be used.": (
        "此文件即数据源的定义。可以在这里修改，并可使用该类型的所有选项。"
    ),
    "Time zone": "时区",
    "Try again": "重试",
    "Type the name of the source to confirm": "输入数据源名称以确认",
    "Upload files: {count}": "上传 {count} 个文件",
    "Uploading …": "正在上传……",
    "Waiting for the first document …": "正在等待第一个文档……",
    "Where are the documents?": "文档在哪里？",
    "Who may read the documents of this source?": "谁可以读取此数据源的文档？",
    "Writing the source file …": "正在写入数据源文件……",
    "Your tenant has no allow-lists for sources (RAG_SOURCE_ALLOWANCES). Ask a platform administrator.": (
        "您所在的租户没有数据源许可列表（RAG_SOURCE_ALLOWANCES）。请联系平台管理员。"
    ),
    "and": "和",
    "left out": "已略过",
    "members of {names}": "{names} 组的成员",
    "readable": "可读",
    "the people {names}": "人员 {names}",
    "Files accepted: {count}.": "已接收 {count} 个文件。",
    "{count} tokens": "{count} 个词元",
    "Documents: {documents}, chunks: {chunks}, quarantined inputs: {quarantined}; file {file}.": (
        "{documents} 个文档、{chunks} 个分块、{quarantined} 个隔离的输入；文件 {file}。"
    ),
    "{good} of the first {shown} items can be read. Listed: {listed}.": (
        "前 {shown} 个条目中有 {good} 个可以读取；共列出 {listed} 个。"
    ),
    # Steps.
    "Connection": "连接",
    "Access": "访问权限",
    "Schedule": "计划",
    "Review": "确认",
    # Schedules.
    "Every night at 03:00": "每天凌晨 3:00",
    "Every hour": "每小时",
    "Every Sunday at 03:00": "每周日凌晨 3:00",
    "Never, only for changes that are noticed": "从不，仅在发现变更时更新",
    "Another schedule (cron)": "其他计划（cron）",
    "A schedule has five fields (minute, hour, day, month, day of the week), or is a name such as @daily.": (
        "计划由五个字段组成（分、时、日、月、星期），或使用 @daily 之类的名称。"
    ),
    "This schedule never happens: a field is out of range.": "此计划永远不会触发：有字段超出范围。",
    "Time zone: use a name such as Europe/Berlin or UTC.": "时区：请使用 Europe/Berlin 或 UTC 之类的名称。",
    # Problems.
    "Name at least one group or person.": "请至少填写一个组或人员。",
    "Choose fewer files.": "请减少文件数量。",
    "Fill in every field with an asterisk.": "请填写所有带星号的字段。",
    "Secret: name a variable RAG_SECRET_… or the absolute path of a file, never the secret itself.": (
        "密钥：请填写变量名 RAG_SECRET_… 或文件的绝对路径，不要填写密钥本身。"
    ),
    # Kinds and their fields.
    "Folder": "文件夹",
    "Files of this machine or of a mounted share.": "本机或已挂载共享中的文件。",
    "Web site": "网站",
    "Pages found by links and sitemaps.": "通过链接和站点地图发现的页面。",
    "One web page": "单个网页",
    "A single URL, read again by the schedule.": "单个网址，按计划重新读取。",
    "SQL table": "SQL 表",
    "One document for each row of a table or view.": "表或视图的每一行是一个文档。",
    "HTTP API": "HTTP API",
    "A JSON endpoint that lists documents.": "列出文档的 JSON 接口。",
    "Kafka topic": "Kafka 主题",
    "Messages are documents; they are applied as they come.": "每条消息是一个文档，到达即处理。",
    "S3 bucket": "S3 存储桶",
    "Objects of a bucket at Amazon S3 or a service that speaks its protocol.": "Amazon S3 或兼容服务的存储桶中的对象。",
    "Bucket": "存储桶",
    "Prefix (docs/)": "前缀（docs/）",
    "Endpoint (empty: Amazon S3)": "服务地址（留空：Amazon S3）",
    "Region": "区域",
    "Credentials": "凭据",
    "Access key id": "访问密钥 ID",
    "Secret access key": "访问密钥",
    "Git repository": "Git 仓库",
    "Files at a branch or tag, with links to the commit.": "某个分支或标签下的文件，并附有指向该提交的链接。",
    "Repository (https URL, or absolute path here)": "仓库（https 网址，或本机绝对路径）",
    "Branch or tag (empty: the default branch)": "分支或标签（留空：默认分支）",
    "Upload files": "上传文件",
    "A few files from your computer, kept by the platform.": "来自您电脑的少量文件，由平台保存。",
    "Where the crawl starts (URLs)": "抓取起点（网址）",
    "Paths in scope (/docs/*, …)": "抓取范围内的路径（/docs/* 等）",
    "Paths out of scope": "排除的路径",
    "Pages at most": "最多页数",
    "URL": "网址",
    "Database": "数据库",
    "Host": "主机",
    "Port (empty: 5432 or 3306)": "端口（留空：5432 或 3306）",
    "Port: a number from 1 to 65535.": "端口：1 到 65535 之间的数字。",
    "Name of the database": "数据库名称",
    "User that may only read": "只读用户",
    "Password": "密码",
    "File (absolute path)": "文件（绝对路径）",
    "Table or view": "表或视图",
    "Key columns": "主键列",
    "Column of the last change": "最后更改时间列",
    "Columns of the text": "正文列",
    "Column of the title": "标题列",
    "URL of the list": "列表网址",
    "Path of the items ($.items)": "条目路径（$.items）",
    "Path of the id ($.id)": "标识路径（$.id）",
    "Path of the text ($.text)": "正文路径（$.text）",
    "Path of the title ($.title)": "标题路径（$.title）",
    "Bearer token": "Bearer 令牌",
    "Brokers (host:port, …)": "代理地址（主机:端口，…）",
    "Topic": "主题",
}
