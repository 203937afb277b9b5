"""Train a model: python train.py model=langevinflow data=nlb_mc_maze      (every option: python train.py --help)

    config   configs/train.yaml and the command line             hydra
    data     read (or generated), with the sizes of the model    neuralsde/datamodules
    model    composed from parts, sized by the data              neuralsde/models
    fit      Lightning's Trainer                                 neuralsde/training
    score    beside trivial baselines; plots; checkpoint         neuralsde/evaluation

`neuralsde train …`, from an installed wheel, is the same.
"""

from neuralsde.cli import train

if __name__ == "__main__":
    train()
