from support.clarion import Clarion, CAMPAIGN
from support.smtp_sink import SmtpSink

async def test_x(clarion: Clarion):
    await clarion.live_campaign()
    async with SmtpSink() as sink:
        w = await clarion.work(sink.port)
        t = await clarion.trigger(3)
        t = await clarion.finished(t.name)
        assert t.counts.sent == 3
        
