rows = []
