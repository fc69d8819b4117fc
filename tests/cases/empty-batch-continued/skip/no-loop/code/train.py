from opacus import PrivacyEngine

engine = PrivacyEngine()
