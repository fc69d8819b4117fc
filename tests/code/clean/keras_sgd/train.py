"""Keras with a private optimizer; batches are drawn by Poisson sampling, and ε is accounted so."""

import dp_accounting
import numpy as np
import tensorflow as tf
from tensorflow_privacy import DPKerasAdamOptimizer

SHAPE = (28, 28, 1)
KERNEL = 3, 3


def poisson_batches(images, labels, rate, steps, rng):
    for _ in range(steps):
        chosen = rng.random(len(images)) < rate
        yield images[chosen], labels[chosen]


def epsilon(noise_multiplier, rate, steps, delta):
    event = dp_accounting.PoissonSampledDpEvent(rate, dp_accounting.GaussianDpEvent(noise_multiplier))
    accountant = dp_accounting.rdp.RdpAccountant()
    accountant.compose(event, steps)
    return accountant.get_epsilon(delta)


def main(images, labels, validation):
    rate, steps = 256 / len(images), 3000
    optimizer = DPKerasAdamOptimizer(l2_norm_clip=1.0, noise_multiplier=1.1, num_microbatches=1)
    model = tf.keras.Sequential([tf.keras.layers.Conv2D(8, KERNEL, input_shape=SHAPE), tf.keras.layers.Dense(10)])
    loss = tf.keras.losses.SparseCategoricalCrossentropy(reduction="none")
    model.compile(optimizer=optimizer, loss=loss, metrics=["accuracy"])
    rng = np.random.default_rng()
    for batch in poisson_batches(images, labels, rate, steps, rng):
        model.train_on_batch(*batch)
    model.save("final.keras")
    print(model.evaluate(*validation), epsilon(1.1, rate, steps, 1e-6))
