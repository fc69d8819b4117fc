python train.py --lr 1e-4 \
  --schedule_sampler loss-second-moment
