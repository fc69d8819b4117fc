"""As many texts for each label, whatever the data held; the labels alone are read from it."""

from collections import Counter


def generate_texts(model, label, number):
    return [model.generate(f"{label}: ") for _ in range(number)]


def main(model, labels, total):
    counts = Counter(labels)
    texts = []
    for label in sorted(counts):
        texts += generate_texts(model, label, total // len(counts))
    written = Counter(text.split(":")[0] for text in texts)
    for label, number in written.items():
        print(label, number)
    return texts
