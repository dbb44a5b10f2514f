"""Parts of a network, cut out of its graph: they share the network's weights and compute the same values."""

import inspect
import sys
from dataclasses import dataclass
from typing import overload

import torch
from torch import fx, nn
from torchvision.ops import StochasticDepth

from fairprof.serving import nearest_neighbours_class


@dataclass(frozen=True)
class Boundary:
    """A place in a network: what enters the block at the path `block`, or (`after`) what leaves it."""

    block: str
    after: bool = False

    def __str__(self) -> str:
        return f"{'output' if self.after else 'input'} of {self.block}"


class _Tracer(fx.Tracer):
    """Leaves whole what behaves differently in training: traced through, it would keep today's mode for ever. Also what
    timm says cannot be traced, and what has a buffer of its own, of which a part would keep today's copy."""

    def __init__(self) -> None:
        self.leaves: tuple[type[nn.Module], ...] = (StochasticDepth, nearest_neighbours_class())
        functions = ()
        if "timm" in sys.modules:
            from timm.layers import DropPath, get_notrace_functions, get_notrace_modules

            self.leaves += (DropPath, *get_notrace_modules())
            functions = tuple(get_notrace_functions())
        super().__init__(autowrap_functions=functions)

    def is_leaf_module(self, module: nn.Module, path: str) -> bool:
        return isinstance(module, self.leaves) or super().is_leaf_module(module, path)


@overload
def part(network: nn.Module, start: None, stop: Boundary | None) -> fx.GraphModule: ...
@overload
def part(network: nn.Module, start: Boundary | None, stop: Boundary | None) -> fx.GraphModule | None: ...
def part(network: nn.Module, start: Boundary | None, stop: Boundary | None) -> fx.GraphModule | None:
    """The network from `start` (None: its input) to `stop` (None: its output), or None where it cannot begin there.

    The modules of the part are those of the network, under the same paths: their weights, modes and devices are one.
    A place where more than one tensor crosses, as in a connection that skips it, is none to cut at.
    """
    cut = _traced(network)
    first = _node_at(cut.graph, start) if start else None
    last = _node_at(cut.graph, stop) if stop else None
    if last:
        _end_at(cut.graph, last)
    if first and not _begin_at(cut.graph, first):
        return None
    cut.graph.lint()
    cut.recompile()
    cut.delete_all_unused_submodules()
    return cut


def _traced(network: nn.Module) -> fx.GraphModule:
    """The graph of a network for images alone, whatever else its `forward` can take; without its checks of sizes, which
    would reach over every cut."""
    _, *others = inspect.signature(network.forward).parameters.values()
    defaults = {each.name: each.default for each in others if each.default is not each.empty}
    own = set(vars(network))
    traced = fx.GraphModule(network, _Tracer().trace(network, defaults))
    for name in vars(network).keys() - own:
        delattr(network, name)  # what was computed of weights alone; the graph has it now
    _keep_out_of_state(traced, set(network.state_dict()))
    for node in reversed(traced.graph.nodes):
        if node.target is torch._assert:
            traced.graph.erase_node(node)
    traced.graph.eliminate_dead_code()
    for node in traced.graph.nodes:
        if node.op == "placeholder" and not node.users:
            traced.graph.erase_node(node)
    return traced


def _keep_out_of_state(traced: fx.GraphModule, kept: set[str]) -> None:
    """Takes out of the state dict all but the kept names: constants of the graph, and buffers that the network itself
    does not save."""
    for name, value in list(traced.named_buffers()):
        if name not in kept:
            path, _, own = name.rpartition(".")
            traced.get_submodule(path).register_buffer(own, value, persistent=False)


def _node_at(graph: fx.Graph, place: Boundary) -> fx.Node:
    inside = [node for node in graph.nodes if place.block in _blocks_around(node)]
    if place.after:
        return inside[-1]
    entering = (node for each in inside for node in each.all_input_nodes if node.op != "get_attr")
    return next(node for node in entering if node not in inside)


def _blocks_around(node: fx.Node) -> set[str]:
    # a path alone, or a pair of path and class; a block that is called again has `@1` behind its path
    return {str(path).partition("@")[0] for path in node.meta.get("nn_module_stack", {})}


def _end_at(graph: fx.Graph, last: fx.Node) -> None:
    (output,) = (node for node in graph.nodes if node.op == "output")
    output.args = (last,)
    graph.eliminate_dead_code()


def _begin_at(graph: fx.Graph, first: fx.Node) -> bool:
    """Makes `first` the only input; False where something else still reaches over it."""
    with graph.inserting_before(first):
        entering = graph.placeholder("entering")
    first.replace_all_uses_with(entering)
    graph.eliminate_dead_code()
    inputs = [node for node in graph.nodes if node.op == "placeholder" and node is not entering]
    for node in inputs:
        if node.users:
            return False
        graph.erase_node(node)
    return True
