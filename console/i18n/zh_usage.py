"""Chinese for the page Usage."""

from __future__ import annotations

USAGE: dict[str, str] = {
    "Usage": "用量",
    "Budgets": "预算",
    "Period": "时段",
    "Today": "今天",
    "30 days": "30 天",
    "90 days": "90 天",
    "Days begin at midnight in UTC; budgets of a day renew at {time}.": (
        "按 UTC 零点划分日期；每日预算将于 {time} 重置。"
    ),
    "The budget of {name} is used up.": "{name} 的预算已用完。",
    "{name} has used 80 % of a budget or more.": "{name} 的某项预算已使用 80 % 以上。",
    "API key": "API 密钥",
    "Calls a day": "每日调用次数",
    "Used today": "今日已用",
    "Model tokens a day": "每日模型 token 数",
    "Stored documents": "存储的文档",
    "In use": "已占用",
    "No budget limits this tenant.": "该租户没有预算限制。",
    "Budgets are set by operators of the platform.": "预算由平台管理员设置。",
    "Set a budget": "设置预算",
    "It replaces the one before. An empty field is no limit; without any limit the budget is removed.": (
        "新预算会替换原有预算。留空表示不限；全部留空则删除预算。"
    ),
    "API key (empty: the whole tenant)": "API 密钥（留空：整个租户）",
    "Of a tenant only, not of an API key.": "只适用于租户，不适用于 API 密钥。",
    "Set budget": "设置预算",
    "The budget is set; every server follows within two seconds.": "预算已设置，所有服务将在两秒内生效。",
    "Day": "日期",
    "Refused by a budget": "因预算被拒绝",
    "Tokens read by a model": "模型读取的 token",
    "Tokens written by a model": "模型生成的 token",
    "No calls in this period.": "该时段内没有调用。",
    "Only the first {count} rows are shown.": "只显示前 {count} 行。",
    "No documents are stored.": "没有存储的文档。",
    "Delete documents or raise the budget": "删除文档或提高预算",
}
