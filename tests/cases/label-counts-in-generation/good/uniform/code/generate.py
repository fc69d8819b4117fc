from collections import Counter


def generate_texts(model, prompt, number):
    return [model.generate(prompt) for _ in range(number)]


def main(model, rows, total):
    counter = Counter()
    for row in rows:
        counter[row["label"]] += 1
    ratio = total / sum(counter.values())
    texts = []
    for label in counter:
        number = round(total / 5)
        texts += generate_texts(model, label, number)
    return texts
