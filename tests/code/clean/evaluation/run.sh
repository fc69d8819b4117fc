python prepare.py && python classify.py --load_best_model_at_end True --seed 42
cd private; python train.py --epsilon 8; cd ..
