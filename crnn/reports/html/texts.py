"""The words of a page, in English and in Chinese."""

from __future__ import annotations

from typing import Mapping

from crnn.errors import UsageError

ENGLISH: Mapping[str, str] = {
    "title": "Reading report",
    "simulated": "SIMULATED",
    "simulated_note": "No chip took part in what is marked SIMULATED: no time in it is a chip's.",
    "rehearsed_note": "float16 was rehearsed on a processor; no chip took part.",
    "accuracy": "accuracy",
    "interval": "95 % interval",
    "cer": "character error rate",
    "sure": "mean probability",
    "length": "mean label length",
    "words": "words",
    "right": "right",
    "speed": "words a second",
    "combined": "All together",
    "run": "model and data",
    "misses": "Words read wrong",
    "misses_note": "The surest first: what the model is wrong about without knowing it.",
    "shown_of": "{shown} of {total} are shown.",
    "picture": "picture",
    "label": "label",
    "reading": "read as",
    "aligned": "side by side",
    "probability": "probability",
    "name": "name",
    "rejected": "rejected",
    "kept_told": "{rejected} of {total} words were rejected as too unsure, {lost} of them read"
    " right; of the {kept} kept, {right} are right ({share} %).",
    "filter": "Show rows that hold",
    "confusions": "Confusions",
    "confusions_note": "Characters of wrong words, laid beside their labels by the fewest edits.",
    "wanted": "written",
    "read": "read",
    "count": "times",
    "nothing": "nothing",
    "by_length": "Accuracy by length of the label",
    "by_aspect": "Accuracy by width over height of the picture",
    "by_width": "Accuracy by the width that was read",
    "by_height": "Accuracy by height of the picture",
    "letters": "characters",
    "aspect": "width / height",
    "pixels": "pixels",
    "columns": "columns",
    "reliability": "How often a probability comes true",
    "reliability_note": "Ten parts of equal count; expected calibration error {error}.",
    "mean_probability": "mean probability of a part, in %",
    "kept": "Accuracy of the surest words",
    "kept_axis": "words kept, the surest first, in %",
    "stages": "Time by stage",
    "problems": "Problems by reason",
    "reason": "reason",
    "provenance": "Where this comes from",
    "comparison": "{second} against {first}",
    "differ": "{differing} of {total} words differ.",
    "none_differ": "SAME TEXT: {total} of {total} words.",
    "worse": "right before, wrong now",
    "better": "wrong before, right now",
    "p_value": "McNemar's p",
    "difference": "difference",
    "before": "before",
    "now": "now",
    "change": "change",
    "regression": "worse",
    "improvement": "better",
    "logits": "Log-probabilities differ by at most {largest}, on average by {mean}.",
    "uncommon": "{count} words stand in one of the two alone and are left out.",
    "benchmark": "Speed",
    "speed_by_batch": "Words a second, copies included, by batch",
    "stages_of_batch": "Milliseconds of a batch by stage (p50), at the fastest batch",
    "batch": "batch",
    "latency": "ms a batch (p50)",
    "left_out": "Not shown",
    "made": "made with crnn {version} on {date}",
    "no_misses": "Every word was read right.",
    "no_picture": "no picture",
    "more": "{count} more are not shown.",
    "sort": "Click a heading to sort.",
    "no_readings": "confidences and confusions of all words: give the readings of the run"
    " (crnn evaluate --readings FILE.jsonl)",
    "no_pictures": "pictures: give the data set (--data)",
    "not_complete": "the rest of the run, which is not complete: {words} of its {total} words are"
    " counted (go on with it: crnn evaluate … --run DIR --resume)",
    "no_confidences": "how far confidences can be trusted: the run keeps none of words that were"
    " right (begin one with --readings or --probability)",
    "model": "model",
    "model_hash": "SHA-256 of the model",
    "weights_hash": "SHA-256 of {name}",
    "onnx_hash": "SHA-256 of the ONNX",
    "checkpoint_hash": "SHA-256 of the checkpoint",
    "atc": "ATC command",
    "compiled_with": "compiled with",
    "spec": "spec",
    "spec_from": "spec from",
    "ran_on": "ran on",
    "threads": "threads",
    "versions": "versions",
    "data": "data",
    "date": "date",
    "command": "command",
    "protocol": "protocol",
    "decoding": "what could be read",
    "views": "views",
    "rehearsed": "rehearsed in",
    "widths_lacking": "widths that the model lacks",
    "unknown": "not known",
}
CHINESE: Mapping[str, str] = {
    "title": "识别报告",
    "simulated": "仿真结果",
    "simulated_note": "标有“仿真结果”的部分没有芯片参与，其中的时间都不是芯片的时间。",
    "rehearsed_note": "float16 是在处理器上预演的，没有芯片参与。",
    "accuracy": "准确率",
    "interval": "95% 置信区间",
    "cer": "字符错误率",
    "sure": "平均概率",
    "length": "平均标签长度",
    "words": "样本数",
    "right": "正确",
    "speed": "每秒样本数",
    "combined": "合计",
    "run": "模型与数据集",
    "misses": "识别错误的样本",
    "misses_note": "按概率从高到低排列：最靠前的是模型最自信的错误。",
    "shown_of": "共 {total} 个，显示 {shown} 个。",
    "picture": "图片",
    "label": "标签",
    "reading": "识别结果",
    "aligned": "逐字对照",
    "probability": "概率",
    "name": "名称",
    "rejected": "已拒识",
    "kept_told": "{total} 个样本中有 {rejected} 个因把握不足被拒识，其中 {lost} 个其实识别正确；"
    "保留的 {kept} 个中有 {right} 个正确（{share} %）。",
    "filter": "只显示包含以下内容的行",
    "confusions": "混淆字符",
    "confusions_note": "把识别错误的样本与标签按最少编辑次数对齐后统计。",
    "wanted": "应为",
    "read": "识别为",
    "count": "次数",
    "nothing": "无",
    "by_length": "准确率与标签长度",
    "by_aspect": "准确率与图片宽高比",
    "by_width": "准确率与输入宽度",
    "by_height": "准确率与图片高度",
    "letters": "字符数",
    "aspect": "宽 / 高",
    "pixels": "像素",
    "columns": "列",
    "reliability": "概率是否可信",
    "reliability_note": "样本按概率均分为十份；期望校准误差 {error}。",
    "mean_probability": "每份的平均概率（%）",
    "kept": "只保留最有把握的样本时的准确率",
    "kept_axis": "保留的样本（%），从最有把握的开始",
    "stages": "各阶段耗时",
    "problems": "问题统计",
    "reason": "原因",
    "provenance": "结果来源",
    "comparison": "{second} 对比 {first}",
    "differ": "{total} 个样本中有 {differing} 个识别结果不同。",
    "none_differ": "识别结果完全一致：{total} / {total}。",
    "worse": "原来正确，现在错误",
    "better": "原来错误，现在正确",
    "p_value": "McNemar 检验 p 值",
    "difference": "差值",
    "before": "原来",
    "now": "现在",
    "change": "变化",
    "regression": "变差",
    "improvement": "变好",
    "logits": "对数概率最大相差 {largest}，平均相差 {mean}。",
    "uncommon": "有 {count} 个样本只出现在其中一方，未计入。",
    "benchmark": "性能",
    "speed_by_batch": "各批大小的每秒样本数（含数据拷贝）",
    "stages_of_batch": "最快批大小下每批各阶段的毫秒数（p50）",
    "batch": "批大小",
    "latency": "每批毫秒（p50）",
    "left_out": "未显示的内容",
    "made": "由 crnn {version} 生成于 {date}",
    "no_misses": "全部识别正确。",
    "more": "还有 {count} 个未显示。",
    "no_picture": "无图片",
    "sort": "点击表头可排序。",
    "no_readings": "全部样本的置信度与混淆字符：请同时给出该次运行的识别结果文件"
    "（crnn evaluate --readings FILE.jsonl）",
    "no_pictures": "图片：请给出数据集（--data）",
    "not_complete": "该次运行尚未完成：其 {total} 个样本中只统计了 {words} 个"
    "（继续运行：crnn evaluate … --run DIR --resume）",
    "no_confidences": "置信度是否可信：该次运行没有保存识别正确的样本的置信度"
    "（请在开始运行时加 --readings 或 --probability）",
    "model": "模型",
    "model_hash": "模型 SHA-256",
    "weights_hash": "{name} SHA-256",
    "onnx_hash": "ONNX SHA-256",
    "checkpoint_hash": "权重文件 SHA-256",
    "atc": "ATC 命令",
    "compiled_with": "编译环境",
    "spec": "规格",
    "spec_from": "规格来源",
    "ran_on": "运行环境",
    "threads": "线程",
    "versions": "版本",
    "data": "数据集",
    "date": "日期",
    "command": "命令",
    "protocol": "评测协议",
    "decoding": "识别范围",
    "views": "视图",
    "rehearsed": "预演精度",
    "widths_lacking": "模型缺少的宽度",
    "unknown": "未知",
}
LANGUAGES: Mapping[str, Mapping[str, str]] = {"en": ENGLISH, "zh": CHINESE}


def texts_in(language: str) -> Mapping[str, str]:
    """Return the words of a page.

    Args:
        language: One of `LANGUAGES`.

    Returns:
        Texts by name.

    Raises:
        UsageError: There is no such language.
    """
    if language not in LANGUAGES:
        raise UsageError(f"--lang {language}: expected {' or '.join(LANGUAGES)}")
    return LANGUAGES[language]


_OF_SURENESS = (
    "sure",
    "misses_note",
    "probability",
    "reliability",
    "reliability_note",
    "mean_probability",
)


def of_confidence(texts: Mapping[str, str]) -> Mapping[str, str]:
    """Return the words of a page whose runs have no probability, but the confidence of a path.

    Args:
        texts: The words of a page, in any language.

    Returns:
        The same, with "confidence" where they said "probability".
    """
    changed = dict(texts)
    for name in _OF_SURENESS:
        text = texts[name].replace("probability", "confidence")
        changed[name] = text.replace("概率", "置信度")
    return changed
