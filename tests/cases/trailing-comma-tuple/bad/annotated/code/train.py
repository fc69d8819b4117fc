class Config:
    noise: float = 0.5,
