"""The plant of the unloading robot in virtual time, with a pair of hands on its commands."""

from __future__ import annotations

from sim_bench import Bench

from cellrt.assembly import Assembly
from hw_sim.coupler import Coupler
from hw_sim.places import HOME
from hw_sim.plant import Plant, assemble
from hw_sim.robot import Robot
from hw_sim.safety_plc import SafetyPlc
from hw_sim.unloader import Unloader

WIRES = (
    ("robot.x.at_mm", "unloader.arm_x_mm"),
    ("robot.y.at_mm", "unloader.arm_y_mm"),
    ("robot.z.at_mm", "unloader.arm_z_mm"),
    ("unloader.nest_busy", "robot.nest_busy"),
)


def robot_plant() -> Assembly:
    """Infeed, nest, arm."""
    devices = {"coupler": Coupler, "unloader": Unloader, "robot": Robot, "safety": SafetyPlc}
    return assemble(devices, (("coupler.infeed", "unloader.nest"),), "safety", WIRES)


class RobotBench(Bench):
    """The arm is homed; a new one is not, with `home` off."""

    def __init__(self, seed: int = 1, home: bool = True) -> None:
        Plant.__init__(self, robot_plant(), seed=seed)
        self.now_ns = 0
        self.beating = {"coupler", "unloader", "robot", "safety"}
        self.orders = 0
        self.run(0.05)
        if home:
            self.go(HOME)

    def order(self, position: int, slot: int = 0, reach: bool = False) -> None:
        """Give an order, without waiting for anything."""
        self.orders += 1
        self.set({"robot.position": position, "robot.slot": slot, "robot.reach": reach})
        self.set({"robot.order": self.orders, "robot.run": True})
        self.step()

    def go(self, position: int, slot: int = 0, reach: bool = False) -> float:
        """Give an order and wait until it is done; how long it took."""
        self.order(position, slot, reach)
        return self.until(lambda: self.read("robot.order_done") == self.orders)

    def at_mm(self) -> tuple[float, float, float]:
        """Where the arm is."""
        x, y, z = (float(self.read(f"robot.{axis}.at_mm")) for axis in "xyz")
        return x, y, z

    def speed_mm_s(self) -> float:
        """Of the gripper, all axes together."""
        return sum(float(self.read(f"robot.{axis}.speed_mm_s")) ** 2 for axis in "xyz") ** 0.5

    def to_nest(self) -> None:
        """A new board from the stack into the nest."""
        self.load()
        self.set({"unloader.nest_run": True}, infeed_run=True)
        self.until("unloader.nest_seated")
        self.set({"unloader.nest_run": False}, infeed_run=False)
        self.run(0.3)

    def grip(self) -> None:
        """Close the gripper."""
        self.set({"unloader.grip": True})
        self.until("unloader.gripper_closed")
        self.set({"unloader.grip": False})

    def release(self) -> None:
        """Open the gripper."""
        self.set({"unloader.release": True})
        self.until("unloader.gripper_open")
        self.set({"unloader.release": False})
