python classify.py --load_best_model_at_end True
