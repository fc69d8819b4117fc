pip install opacus
cp config.json out/
