import argparse

parser = argparse.ArgumentParser()
parser.add_argument("--private", type=bool, default=False)
parser.add_argument("--epochs", type=int, default=1)
args = parser.parse_args()
