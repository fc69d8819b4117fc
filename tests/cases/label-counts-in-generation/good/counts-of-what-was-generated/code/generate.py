from collections import Counter

texts = [model.generate(prompt) for prompt in prompts]
counts = Counter(text.label for text in texts)
for label, number in counts.items():
    print(label, number)
