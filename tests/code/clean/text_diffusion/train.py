"""A text diffusion model trained privately, with a uniform timestep sampler."""

import argparse
import math

from diffusion.loop import TrainLoop
from diffusion.resample import create_named_schedule_sampler
from opacus import PrivacyEngine


def create_argparser():
    parser = argparse.ArgumentParser()
    parser.add_argument("--schedule_sampler", type=str, default="uniform")
    parser.add_argument("--learning_steps", type=int, default=20000)
    parser.add_argument("--seed", type=int, default=None)
    return parser


def main(model, optimizer, loader, diffusion, secret):
    args = create_argparser().parse_args()
    schedule_sampler = create_named_schedule_sampler(args.schedule_sampler, diffusion)
    epochs = math.ceil(args.learning_steps / len(loader))
    engine = PrivacyEngine()
    model, optimizer, private_loader = engine.make_private_with_epsilon(
        module=model,
        optimizer=optimizer,
        data_loader=loader,
        target_epsilon=8.0,
        target_delta=1e-6,
        epochs=epochs,
        max_grad_norm=1.0,
        noise_generator=secret,
    )
    TrainLoop(model, optimizer, private_loader, schedule_sampler, args).run_loop(epochs)
