"""Strategies and posteriors: plain values. No torch in here.

strategy     sites, units, and a strategy: which unit stands at which site
posterior    drop rates -> marginals, samples, probability and entropy
names        what a strategy is called on the command line and in recipes
literature   strategies of other papers, for any backbone's sites
budget       what a strategy may cost at most
transfer     the paper's rules for other backbones, and strategies carried by depth
published/   the posteriors and strategies that the paper prints
"""
