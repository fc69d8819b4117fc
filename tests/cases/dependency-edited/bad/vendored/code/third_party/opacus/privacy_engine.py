class PrivacyEngine:
    pass
