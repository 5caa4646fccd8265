"""The zoo's names and the Hub.

reference    what a user types to name a model, and the folder that it means
address      web addresses of models, as references
hub_cache    what the Hub's cache holds
hub          the wire: what is fetched from a Hub and put there
torchvision  the nets of torchvision: what they are, and bundles of their weights
timm_weights  2D weights of timm on the Hub
loading      load: from a reference to a model that predicts
variants     which of a bundle's nets is meant, and how it is built in torch
calibrating  how far a model's scores are to be believed, fitted on labelled videos
wishes       which of a model's nets is asked for, and what runs it
verifying    a model's golden clips, run on every runtime
benchmarking  how fast a model is here
untrained    models whose weights are those of initialisation
exporting    `stzoo.export_onnx`: a model as an ONNX file, compared with torch
page         a model as a static page that runs it in a browser; web/ has what that is made of
npm          packages of npm that such a page needs
export_report  what an export is to write, and what it has found out
checking     what there is on this machine, and whether it works
fingerprints  which videos a model was trained on
publishing   from a bundle to a Hub repository
"""
