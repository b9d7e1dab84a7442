"""Chinese for the pages of generations, quality and streams."""

from __future__ import annotations

OPERATIONS: dict[str, str] = {
    "{source}: {locator}, version {version}, characters {start} to {end}": (
        "{source}：{locator}，版本 {version}，第 {start} 至 {end} 个字符"
    ),
    "Address": "地址",
    "Alert": "告警",
    "Alert: {summary}": "告警：{summary}",
    "At most": "上限",
    "Build a generation": "构建索引代",
    "Build it": "构建",
    "Calls by limit, since the gateway started": "各限流规则的调用数（自网关启动起）",
    "Changes that wait": "等待中的变更",
    "Checks by severity": "按严重程度统计的检查",
    "Colour": "颜色",
    "Compare two generations": "比较两个索引代",
    "Cost": "费用",
    "Documents that rules found, with samples": "规则命中的文档及示例",
    "Duration": "时长",
    "Elsewhere": "另一侧名次",
    "Embeds what is missing, beside the one that readers are on. Readers notice nothing.": (
        "只计算缺少的向量，与当前使用的索引代并行构建，读者不受影响。"
    ),
    "Estimated time": "预计时间",
    "Evaluate {name}": "评估 {name}",
    "First generation": "第一个索引代",
    "Forecast": "预测",
    "Forecast the cost": "预测成本",
    "Embed title and headings with each chunk": "将标题和各级标题与每个分块一起嵌入",
    "Found": "发现",
    "Further settings (embed_model=…, embedder=…)": "其他设置（embed_model=…、embedder=…）",
    "Gate": "门禁",
    "Health": "健康",
    "It is kept for a rollback until {time}: your reason ends that now.": (
        "它保留至 {time} 以便回滚：填写原因后立即结束保留。"
    ),
    "It was not evaluated.": "尚未评估。",
    "Its files go, its history stays. There is no rollback to it after that.": (
        "删除其文件并保留历史，此后无法回滚到它。"
    ),
    "Languages": "语言",
    "Let through": "放行",
    "Limit": "限流规则",
    "Median size of the documents": "文档大小中位数",
    "No rule found anything.": "没有规则命中。",
    "No run has been judged yet.": "尚无运行被评定。",
    "Objective": "目标",
    "Open alerts": "未解除的告警",
    "Other tenants than yours are named by the hash that the request log has.": "其他租户以请求日志中的哈希值显示。",
    "Outcome": "结果",
    "Overlap (tokens)": "重叠（词元）",
    "Parity": "一致性",
    "Promote {name}": "启用 {name}",
    "Pushed to found, p95": "推送至可检索 p95",
    "Pushed to found, p95: {time}": "推送至可检索，p95：{time}",
    "Query servers": "查询服务",
    "Readers are on {name}.": "读者现在使用 {name}。",
    "Readers go back to where they were.": "读者回到之前的索引代。",
    "Readers move to it at once; the one before is kept for a rollback.": (
        "读者立即切换到它，之前的索引代保留以便回滚。"
    ),
    "Real time": "实时",
    "Refused": "拒绝",
    "Retire {name}": "退役 {name}",
    "Roll back to {name}": "回滚到 {name}",
    "Rule": "规则",
    "Rules that fired in the newest run": "最近一次运行触发的规则",
    "Runs the gate on it: parity, coverage, retrieval, latency.": "对其运行门禁：一致性、覆盖、检索质量、延迟。",
    "Samples": "示例",
    "Say why first.": "请先说明原因。",
    "Score and checks": "得分与检查",
    "Score of each run (0 to 100)": "每次运行的得分（0 至 100）",
    "Second generation": "第二个索引代",
    "Shards done": "完成的分片",
    "Share": "占比",
    "Share of duplicates": "重复占比",
    "Shed": "过载拒绝",
    "Since": "自",
    "Stream": "流",
    "Tenants": "租户",
    "Texts to embed": "待计算向量的文本",
    "Texts with a vector already": "已有向量的文本",
    "The gate has not passed it: your reason overrides the gate and is kept.": (
        "门禁未通过：您的原因将越过门禁并被记录。"
    ),
    "The oldest waits for": "最早的已等待",
    "The pipeline runs the gate; its result appears in the list.": "流水线将运行门禁，结果会出现在列表中。",
    "There is only one generation; build another on the page Index to compare.": (
        "只有一个索引代；请在“索引”页构建另一个再比较。"
    ),
    "Tokens per chunk": "每块词元数",
    "Weight": "权重",
    "What the gate found {time}": "门禁结果（{time}）",
    "What was done with it": "操作历史",
    "asked for": "已请求",
    "critical": "严重",
    "frozen": "已冻结",
    "halted": "已停止",
    "met": "达成",
    "missed": "未达成",
    "next {time}": "下次 {time}",
    "not evaluated": "未评估",
    "off": "已关闭",
    "on, last tick {time}": "已启用，上次触发 {time}",
    "per address and minute": "每地址每分钟",
    "per client and hour": "每客户端每小时",
    "searches in flight": "同时进行的检索",
    "per client and minute": "每客户端每分钟",
    "refused": "拒绝",
    "unhealthy": "不健康",
    "warning": "警告",
    "{name} has ended.": "{name} 已退役。",
    "{name} is declared; the pipeline builds it behind the active one.": "{name} 已登记，流水线将在后台构建。",
    "{name} is stale: no complete listing for more than {limit}": "{name} 已过期：超过 {limit} 没有完整列举",
}


# --------------------------------------------------------------------------------------------------------------------
# Chinese for the page of deployments, the check of a source, and the names of columns that came last.


DEPLOYMENTS: dict[str, str] = {
    "Age": "已过时间",
    "Age of the listing": "距上次列举",
    "All traffic goes back to {colour}, at once. A generation promoted with it goes back too.": (
        "全部流量立即回到 {colour}，随之启用的索引代也会回退。"
    ),
    "Asked for and not done yet: {what}.": "已请求但尚未完成：{what}。",
    "Asked for. The deployer moves the traffic back at once.": "已请求，部署器将立即把流量切回。",
    "Requested. The deployer shifts the traffic in steps; the history below shows the progress.": (
        "已请求，部署器将分步切换流量，进度见下方历史。"
    ),
    "Branch or tag": "分支或标签",
    "Commit": "提交",
    "Deployed": "已部署",
    "Deployments": "部署",
    "Environment": "环境",
    "Healthy servers": "健康的服务",
    "Kept for a rollback until": "为回滚保留至",
    "Model": "模型",
    "Moves the traffic in these steps: {steps}.": "按以下步骤切换流量：{steps}。",
    "No deployer is watching: what is asked for waits until one runs (rag deploy watch).": (
        "没有部署器在运行：请求会等到有部署器时执行（rag deploy watch）。"
    ),
    "Nothing was deployed by rag deploy yet.": "尚未通过 rag deploy 部署。",
    "Pipeline of GitLab": "GitLab 流水线",
    "Release": "版本",
    "Roll back {release}": "回滚 {release}",
    "Seen": "上次查看",
    "Share of requests": "请求占比",
    "Step": "步骤",
    "Switch to {release}": "切换到 {release}",
    "Target": "目标",
    "Why": "原因说明",
    "being prepared": "准备中",
    "being tested": "测试中",
    "being watched": "观察中",
    "in progress": "进行中",
    "kubernetes": "kubernetes",
    "local": "本机",
    "ready to switch": "可以切换",
    "refused by a gate": "被门禁拒绝",
    "replaced before it served": "在启用前被替换",
    "rollback": "回滚",
    "rolled back": "已回滚",
    "rolling back": "回滚中",
    "serves everything": "承担全部流量",
    "switch": "切换",
    "traffic is moving": "流量切换中",
    "waiting for its servers": "等待服务就绪",
    "{release}: {state}, {weight} % of the requests": "{release}：{state}，占请求的 {weight}%",
    "This source has no sensor to ask.": "此数据源没有可询问的传感器。",
    "It can be read: {note}.": "可以读取：{note}。",
    "there are changes, a run would start": "有变更，将启动运行",
    "Connects to the source and asks whether it changed. Nothing is started.": (
        "连接数据源并询问是否有变更，不启动任何运行。"
    ),
}
