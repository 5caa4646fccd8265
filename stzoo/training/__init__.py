"""From a recipe to bundles.

calls       `stzoo.train`, `stzoo.finetune` and `stzoo.select`
pipeline    a whole run: every stage in order, then measurements and bundle
sweep       a template for every point of a grid of values
budgets     the best strategies within budgets, measured beside others and bundled
earlier     what was found within other budgets before
blueprint   what a recipe asks to be built
demands     what a recipe's net demands of its other values
forecast    what a run costs, before anything is trained
initial     the weights that the first stage starts from
stages      warm-up, variational DropPath, selection, finetuning
faults      what can be wrong with a learnt posterior
loop        one stage: epochs of SGD
numbers     what is told of an epoch
objective   cross-entropy and the divergence of gates and weights from their prior
batches     training clips in batches
room        memory that batches of clips are put into
variation   what training changes of a clip that has been cut out
mixing      mixup and CutMix
draws       random draws as functions of seed, stage, epoch and sample
splits      the videos of a training list that select, and those that judge finetuning
data        lists and clips of a recipe
best        the net of the best epoch, and early stopping
average     the moving average of the weights
checkpoint  where a stage stands after an epoch
threads     how many threads of a CPU train
machine     device, precision, passes, processes
processes   how several processes meet, and how all stop when one is gone
run         the folder of a run
voice       how a run speaks
results     the final measurements of a run
looks       how often a split has been measured on
bundling    the bundle of a finished run
provenance  where the weights of a bundle come from
plan        a run on a user's own videos before anything is written
adapting    recipes for a user's own videos: a template's, and one that finetunes a bundle
trackers    TensorBoard and Weights & Biases
"""
