from ..toys import World


def test_smoke(world: World) -> None:
    folder = world.run(world.stage("align"))
    print(sorted(p.name for p in folder.rglob("*")))
