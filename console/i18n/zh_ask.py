"""Chinese for the page Ask."""

from __future__ import annotations

ASK: dict[str, str] = {
    "Only what the fields above let through was searched. Clear them to search everything.": (
        "仅检索了符合上方条件的内容。清除条件即可检索全部内容。"
    ),
    "As whom": "以谁的身份",
    "As {who} of tenant {tenant}, groups: {groups}": "身份：租户 {tenant} 的{who}，用户组：{groups}",
    "Continue the conversation (questions so far: {count})": "接着上文提问（已有 {count} 个问题）",
    "Groups, one in each line": "用户组（每行一个）",
    "It is asked at every evaluation from then on. One entry in each line: text that a right answer shows, or where the"
    " answer is.": "此后每次评测都会提出此问题。每行一项：正确回答应包含的文字，或答案所在的位置。",
    "Passages without text: {count}. You may not read these documents yourself.": (
        "{count} 个段落未显示文本：您本人无权阅读这些文档。"
    ),
    "Save as a question for evaluation": "保存为评测问题",
    "Save question": "保存问题",
    "Saved and accepted. It stands on the page Evaluation.": "已保存并采纳，可在“评测”页查看。",
    "Search as somebody else": "以他人身份检索",
    "Searches with the permissions of somebody else. Each search is in the audit log of their tenant, with its reason."
    " Text that you may not read yourself is left out.": (
        "以他人的权限检索。每次检索连同原因都会记入对方租户的审计日志；您本人无权阅读的文本不会显示。"
    ),
    "User (optional)": "用户（可选）",
    "nobody in particular": "不指定用户",
    "user {subject}": "用户 {subject}",
    "# before reranking": "重排前名次",
    "# by meaning": "语义名次",
    "# by words": "词法名次",
    "A field that the sources declare.": "数据源声明过的元数据字段。",
    "A reranker put the best of them in order.": "其中最靠前的结果已由重排模型重新排序。",
    "Automatic: computed for each question from what the legs find. 0 %: only meaning counts, 100 %: only words.": (
        "自动：根据两路的检索结果为每个问题计算权重。0 %：只看语义；100 %：只看词。"
    ),
    "By meaning only: the score is the cosine of question and passage.": (
        "仅按语义检索：得分是问题与段落的余弦相似度。"
    ),
    "By meaning: not among the candidates (cosine {cosine}).": "语义：不在候选之列（余弦 {cosine}）。",
    "By meaning: number {rank} among the candidates (cosine {cosine}).": "语义：候选中第 {rank} 名（余弦 {cosine}）。",
    "By words only: the score is BM25.": "仅按词检索：得分是 BM25。",
    "By words: not among the candidates.": "词法：不在候选之列。",
    "By words: number {rank} among the candidates (BM25 {score}).": "词法：候选中第 {rank} 名（BM25 {score}）。",
    "By words: number {rank} among the candidates (BM25 {score}), for {words}.": (
        "词法：候选中第 {rank} 名（BM25 {score}），命中的词：{words}。"
    ),
    "Changed since": "此日期后有变更",
    "Choose a passage to see why it is there, and to read it in its document.": (
        "选择一个段落，可查看它排在此处的原因，并在文档中阅读。"
    ),
    "Compare two settings": "比较两组设置",
    "Compared with": "对照设置",
    "How it is searched": "检索设置",
    "Hybrid search. As you set it, meaning has {dense} of the weight and words {lexical}.": (
        "混合检索。按您的设置，语义权重为 {dense}，词法权重为 {lexical}。"
    ),
    "Hybrid search. By what the legs found for this question, meaning has {dense} of the weight and words {lexical}.": (
        "混合检索。根据两路对此问题的检索结果，语义权重为 {dense}，词法权重为 {lexical}。"
    ),
    "In both": "两侧都有",
    "Index generation": "索引代",
    "Metadata": "元数据",
    "Of these at another place": "其中名次不同",
    "Only on the left": "仅左侧有",
    "Only on the right": "仅右侧有",
    "Other side": "另一侧",
    "Passages": "段落数",
    "Place {rank} of retrieval, score {score} = {dense} by meaning + {lexical} by words.": (
        "检索第 {rank} 名，得分 {score} = 语义 {dense} + 词法 {lexical}。"
    ),
    "Place {rank} of retrieval, score {score}: {dense} by meaning + {lexical} by words, kept within 0 and 1.": (
        "检索第 {rank} 名，得分 {score}：语义 {dense} + 词法 {lexical}，限制在 0 到 1 之间。"
    ),
    "Place {rank} of retrieval, score {score}.": "检索第 {rank} 名，得分 {score}。",
    "Rerank": "重排",
    "Settings": "设置",
    "Show the passages that were found, and why": "显示检索到的段落及原因",
    "The reranker left it at place {rank} (its score: {score}).": "重排后仍为第 {rank} 名（重排得分：{score}）。",
    "The reranker moved it down from place {before} to {rank} (its score: {score}).": (
        "重排使它从第 {before} 名降到第 {rank} 名（重排得分：{score}）。"
    ),
    "The reranker moved it up from place {before} to {rank} (its score: {score}).": (
        "重排使它从第 {before} 名升到第 {rank} 名（重排得分：{score}）。"
    ),
    "The text has no words to look for, so it was searched by meaning only.": (
        "文本中没有可检索的词，因此仅按语义检索。"
    ),
    "Weight of the words in a hybrid search": "混合检索中词的权重",
    "Why it is number {rank}": "为何排在第 {rank} 名",
    "Write the condition on metadata as field=value; it was left out.": (
        "元数据条件请写成 字段=值 的形式；此条件已被忽略。"
    ),
    "as the server does": "按服务器设置",
    "automatic": "自动",
    "cosine": "余弦",
    "dense: by meaning only": "向量：仅按语义",
    "field=value": "字段=值",
    "hybrid: by meaning and by words": "混合：语义与词",
    "lexical: by words only": "词法：仅按词",
    "on": "开启",
    "reranker": "重排",
    "the active one": "使用中的索引代",
    "▲ higher than on the other side, ▼ lower, = at the same place, – only here": (
        "▲ 比另一侧靠前，▼ 靠后，= 名次相同，– 仅此侧有"
    ),
    "{place}, sheet {page}": "{place}，第 {page} 张工作表",
    "{place}, slide {page}": "{place}，第 {page} 张幻灯片",
}
