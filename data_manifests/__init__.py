"""Data manifests: one TOML file per dataset or corpus."""
