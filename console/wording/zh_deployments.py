"""Chinese for the page of deployments, the check of a source, and the names of columns that came last."""

from __future__ import annotations

DEPLOYMENTS: dict[str, str] = {
    "Age": "已过时间",
    "Age of the listing": "距上次列举",
    "All traffic goes back to {colour}, at once. A generation promoted with it goes back too.": (
        "全部流量立即回到 {colour}，随之启用的索引代也会回退。"
    ),
    "Asked for and not done yet: {what}.": "已请求但尚未完成：{what}。",
    "Asked for. The deployer moves the traffic back at once.": "已请求，部署器将立即把流量切回。",
    "Asked for. The deployer moves the traffic in steps; the history below tells how far it is.": (
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
    "goes on": "进行中",
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
