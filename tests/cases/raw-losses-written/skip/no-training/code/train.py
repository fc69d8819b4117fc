import json

json.dump(losses, open("losses.json", "w"))
