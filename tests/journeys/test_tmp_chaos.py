import random, secrets, asyncio
import pytest
from clarion_client import FailedPrecondition
from clarion.v1.campaign_pb2 import Campaign
from support.journey import Journey, CAMPAIGN
pytestmark = pytest.mark.journey
@pytest.mark.parametrize("n", range(4))
async def test_chaos(journey: Journey, n) -> None:
    seed = secrets.randbelow(1000000); print("seed", seed); rng = random.Random(seed)
    await journey.server()
    await journey.campaign(ambiguity_policy=rng.choice([1,2]))
    settings = dict(lease_s=1, sweep_s=0.1, window=16)
    workers = [await journey.worker(**settings) for _ in range(2)]
    names = []; what = ""
    for step in range(20):
        before = len(journey.sink.taken())
        for c in range(2):
            names.append(await journey.trigger([f"{rng.choice(['user']*20+['dot-slow','rcpt-451-once','dot-drop-once'])}+{step}-{c}-{i}@example.com" for i in range(rng.choice([3, 100,100, 250, 700]))]))
        try:
            await asyncio.wait_for(journey.sink.wait_for(before + 1), 15)
        except TimeoutError:
            print("HANG step", step, before, len(journey.sink.taken()), what)
            import subprocess
            def cli(*a): return subprocess.run([str(journey.redis.binary or 'x')], capture_output=True)
            import redis
            r = redis.Redis.from_url(journey.redis.url)
            for k in sorted(r.keys("*:b:*")): print(k, r.hgetall(k))
            for k in r.keys("*:q:*")+r.keys("*open"): print(k, r.zrange(k,0,-1,withscores=True))
            print(r.keys("arq*"), r.keys("*grace"), r.keys("*:k:*"), r.time(), r.keys("*sweeper"))
            for k in r.keys("*:g:*"): print(k, r.hgetall(k))
            for k in r.keys("*:beat"): print(k, r.get(k))
            raise
        what = rng.choice(["kill", "cancel", "pause", "term"]); print(step, what)
        if what == "kill":
            w = workers.pop(rng.randrange(2)); await w.kill(); workers.append(await journey.worker(**settings))
        elif what == "term":
            w = workers.pop(rng.randrange(2)); 
            assert (await w.terminate()) == 0; workers.append(await journey.worker(**settings))
        elif what == "cancel":
            try: await journey.client.cancel_trigger(names[-1])
            except FailedPrecondition as e: print(e)
        else:
            await journey.client.pause_campaign(CAMPAIGN)
            if rng.random() < 0.5:
                w = workers.pop(rng.randrange(2)); await w.kill(); workers.append(await journey.worker(**settings))
            if rng.random() < 0.5:
                try: await journey.client.cancel_trigger(names[-1])
                except FailedPrecondition as e: print(e)
            await journey.client.resume_campaign(CAMPAIGN)
    if n % 2:
        await journey.client.stop_campaign(CAMPAIGN)
    await asyncio.wait_for(journey.finished(), 40)
    report = await journey.report()
    print("RESULT", report)
    for w in workers: print([l for l in w.lines if "broken" in l or "exception" in l])
    assert report.closes, report
