"""Blue/green deployments: `policy` decides, `deployer` acts and records, `targets` are where releases run."""
