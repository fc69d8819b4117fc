"""Settings of a run."""


def load_settings(path):
    with open(path, encoding="utf-8") as file:
        return dict(line.split(":") for line in file)
