"""Chinese for the page of evaluation and the rating of answers."""

from __future__ import annotations

EVALUATION: dict[str, str] = {
    "Accept": "采纳",
    "Accept this run": "采纳此次评测",
    "all questions": "全部问题",
    "Asked by": "发起方",
    "Before: {grade}": "之前：{grade}",
    "closest": "最接近",
    "closest passages": "最接近的内容",
    "closest passages without it": "最接近的内容中没有",
    "command": "命令行",
    "Count": "题数",
    "daily": "每日任务",
    "Decided by": "决定人",
    "Evaluation": "评测",
    "Evaluations": "评测记录",
    "Every question is satisfied.": "所有问题都已得到满意的回答。",
    "Expected": "期望内容",
    "Expected text": "期望出现的文字",
    "feedback": "用户反馈",
    "Grade": "评级",
    "heading (generated)": "标题（自动生成）",
    "Later runs are compared with run {number}.": "之后的评测将与第 {number} 次比较。",
    "Later runs are compared with this one, and the promotion gate stops refusing what it explains.": (
        "之后的评测都与这一次比较，由它解释的退步不再被切换关卡拒绝。"
    ),
    "no answer": "未作答",
    "no answer, or one that you may not read": "没有回答，或您无权查看",
    "No question waits for a decision. Thumbs on the page Ask and the feedback API propose some.": (
        "没有待决定的问题。“提问”页面的评价和反馈接口会提出问题。"
    ),
    "No questions have been asked yet. Write some, or accept proposed ones; they are asked every day and by the "
    "promotion gate. Without questions nothing is refused for its answers.": (
        "还没有评测过任何问题。请编写问题或采纳建议的问题；它们每天都会被提问，切换关卡也会使用。没有问题时，不会因回答质量而拒绝任何索引代。"
    ),
    "Now: {grade}": "现在：{grade}",
    "One entry in each line. Give text or a pattern that a right answer shows, or where the answer is.": (
        "每行一项。请填写正确回答中会出现的文字或模式，或者答案所在的位置。"
    ),
    "partly": "部分正确",
    "Patterns (RE2)": "模式（RE2）",
    "promotion gate": "切换关卡",
    "Proposed by": "提出方",
    "broke off": "中断",
    "Propose questions from headings": "根据标题生成问题",
    "Proposed questions": "建议的问题",
    "proposed": "待决定",
    "accepted": "已采纳",
    "rejected": "已拒绝",
    "Questions asked": "问题集",
    "Questions that are not satisfied: {count}": "未满意的问题：{count}",
    "Questions that changed": "有变化的问题",
    "Questions": "问题",
    "Read-only: accepting runs and questions requires the role operator.": "只读：采纳评测和问题需要 operator 角色。",
    "Recall of sources": "来源召回率",
    "Reject": "拒绝",
    "right": "正确",
    "wrong": "错误",
    "not graded": "未评级",
    "Run {number}, {time}": "第 {number} 次评测，{time}",
    "Satisfied": "满意",
    "Select a question to decide about it.": "选择一个问题以作决定。",
    "Share of satisfied questions over time": "满意问题占比的变化",
    "Since before": "较上次",
    "Tag": "标签",
    "Tags": "标签",
    "Tags (unanswerable: there is no answer)": "标签（unanswerable：没有答案）",
    "The question is {state}.": "该问题{state}。",
    "The user said:": "用户的说明：",
    "There is no earlier run over the same questions to compare with.": "没有针对相同问题的更早评测可供比较。",
    "There is none.": "没有。",
    "Up to {count} questions are made from headings of your documents. They wait here until somebody accepts them.": (
        "最多根据文档标题生成 {count} 个问题，它们在此等待采纳。"
    ),
    "Where the answer is (part of source/locator)": "答案所在位置（source/locator 的一部分）",
    "worse": "变差",
    "Worse than the run before, by more than chance explains.": "比上次差，且超出偶然波动。",
    "Wrong": "错误",
    "{count} questions proposed.": "已提出 {count} 个问题。",
    "{worse} worse, {better} better than in run {number}": "与第 {number} 次评测相比：{worse} 个变差，{better} 个变好",
    "Which document has the answer? Part of its name (optional)": "哪个文档有答案？文档名的一部分（可选）",
    "The document that has the answer": "含有答案的文档",
    "not known": "不清楚",
    "Send": "提交",
    "Saved. Its question waits on the page Evaluation until somebody accepts it.": (
        "已保存。该问题在“评测”页面等待采纳。"
    ),
}
