"""Stock levels of a small shop."""

from dataclasses import dataclass, field


@dataclass
class Item:
    name: str
    price: float
    count: int = 0


@dataclass
class Inventory:
    items: dict[str, Item] = field(default_factory=dict)

    def add(self, name: str, price: float, count: int = 1) -> Item:
        item = self.items.get(name)
        if item is None
            item = Item(name, price)
            self.items[name] = item
        item.count += count
        return item

    def remove(self, name: str, count: int = 1) -> None:
        item = self.items[name]
        if count > item.count:
            raise ValueError(f"only {item.count} of {name} left")
        item.count -= count

    def total(self) -> float:
        return sum(item.price * item.count for item in self.items.values())


def report(inventory: Inventory) -> str:
    lines = []
    for item in inventory.items.values()
        lines.append(f"{item.name:10} {item.count:4} x {item.price:8.2f}"
    return "\n".join(lines)
