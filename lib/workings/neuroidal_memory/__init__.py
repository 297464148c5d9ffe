"""Memory in a random graph of weak synapses: JOIN and LINK, exactly, on graphs too large to store.

>>> import torch
>>> graph = RandomGraph(n=100_000, d=512, seed=0)  # 51 million synapses, of which none is stored
>>> generator = torch.Generator().manual_seed(0)
>>> a, b = (random_item(graph.n, 2134, generator=generator) for _ in range(2))
>>> c = join(graph, a, b, k=32)
>>> 0.8 < len(c) / 2134 < 1.2  # an item as large as those it was made from
True
>>> share(join(graph, a, b[:0], k=32), c) < 0.01  # and silent when only one of them fires
True
"""

from workings.neuroidal_memory.gaps import Gaps, gaps
from workings.neuroidal_memory.graph import RandomGraph
from workings.neuroidal_memory.operations import (
    Graph,
    JoinLink,
    Link,
    common,
    join,
    random_item,
    share,
    strongest,
    thinned,
    two_step_join,
    union,
)
from workings.neuroidal_memory.sizes import (
    conditions,
    elasticity,
    exactly,
    link_yield,
    one_step_size,
    replicating_size,
    tail,
    two_step_size,
)
from workings.neuroidal_memory.splitmix import mix, outputs
from workings.neuroidal_memory.stored import StoredGraph
from workings.neuroidal_memory.transfer import Margins, hierarchy, noise_margins, one_step_transfer, two_step_transfer
from workings.typed import check_types

__all__ = [
    "Gaps",
    "Graph",
    "JoinLink",
    "Link",
    "Margins",
    "RandomGraph",
    "StoredGraph",
    "common",
    "conditions",
    "elasticity",
    "exactly",
    "gaps",
    "hierarchy",
    "join",
    "link_yield",
    "mix",
    "noise_margins",
    "one_step_size",
    "one_step_transfer",
    "outputs",
    "random_item",
    "replicating_size",
    "share",
    "strongest",
    "tail",
    "thinned",
    "two_step_join",
    "two_step_size",
    "two_step_transfer",
    "union",
]

check_types(__name__)
