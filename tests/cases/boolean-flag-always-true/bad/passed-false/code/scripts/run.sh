cd ..
python train.py --epochs 3 --private False
