sigma_small = False,
