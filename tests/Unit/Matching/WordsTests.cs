using Huzhu.Contracts;
using Huzhu.Matching.Domain;
using Huzhu.Matching.Features;
using Xunit;
using static Huzhu.Tests.Unit.Matching.Make;
using NeedStateChanged = Huzhu.Contracts.Matching.V1.NeedStateChanged;

namespace Huzhu.Tests.Unit.Matching;

public class WordsTests
{
    [Fact]
    public void an_explanation_reads_as_sentences()
    {
        var why = Because with
        {
            Rank = 6,
            FirstBecause = OrderReasons.Nearest,
            RunnerUp = R3,
            RunnerUpDistanceMetres = 2100,
            LeftOut = [new LeftOut(R2, ResponderKind.Provider, ExclusionReasons.Closed, 40, 3), new LeftOut(R3, ResponderKind.Group, ExclusionReasons.Full, 90, 9)],
            OthersLeftOut = new Dictionary<string, int> { [ExclusionReasons.Communication] = 2, [ExclusionReasons.Paused] = 1 },
        };
        var words = ExplanationView.Of(Need().NeedId, Fold(Received(), Made(O1, R1) with { Explanation = why })).Offers[0].Words;
        Assert.Equal(
        [
            $"Offer 1 went to the group {R1}, 120 m away, which held 0 of its 2 places.",
            "It was the nearest that could be asked; the next one is 2.1 km away.",
            "5 were better placed but could not be asked:",
            $"The provider {R2}, 40 m away, is closed.",
            $"The group {R3}, 90 m away, has no free place.",
            "Of those better placed beyond these, 2 cannot communicate in the person's way; 1 takes no new needs for now.",
            "It was decided by version 1 of the policy and version 0 of the sealed zones, with the responder's ledger at version 1.",
            "It has not reached the responder yet.",
        ], words);
    }

    [Fact]
    public void what_the_policy_weighs_is_said_in_metres_one_by_one()
    {
        var why = Because with
        {
            FirstBecause = OrderReasons.LeastWeighed,
            Rank = 2,
            Weighed = new Weighed(300, 200, 0, 400),
            LeftOut = [new LeftOut(R2, ResponderKind.Group, ExclusionReasons.WeighedAgainst, 90, 9)],
        };
        var words = ExplanationView.Of(Need().NeedId, Fold(Received(), Made(O1, R1) with { Explanation = why })).Offers[0].Words;
        Assert.Contains("By the policy's weights it counted as 900 m further away than it is: 300 m for working from another sub-district, 200 m for not being led by a peer, 400 m for having had its turn.", words);
        Assert.Contains("One was better placed but could not be asked, or weighed against:", words);
        Assert.Contains($"The group {R2}, 90 m away, could be asked and came after by the policy's weights.", words);
    }

    [Fact]
    public void who_has_helped_before_is_said_to_those_who_may_know()
    {
        var (helped, hasNot) = (Because with { Weighed = new Weighed(0, 0, 0, 0, 0) }, Because with { Weighed = new Weighed(0, 200, 0, 0, 300) });
        var state = Fold(Received(Urgency.LifeThreatening), Made(O1, R1) with { Explanation = helped }, Made(O2, R2) with { Explanation = hasNot });
        ExplanationView View(InWords words, bool tells = true) => ExplanationView.Of(Need().NeedId, state, words, tells);

        Assert.Contains("It has helped the person before.", View(InWords.English).Offers[0].Words);
        Assert.Contains("By the policy's weights it counted as 500 m further away than it is: 200 m for not being led by a peer, 300 m for not having helped the person before.", View(InWords.English).Offers[1].Words);
        Assert.Contains("它以前帮助过求助者。", View(InWords.Chinese).Offers[0].Words);
        Assert.Contains("按策略的权重，它的距离多算 500 m：不是同伴带领，200 m，没有帮助过求助者，300 m。", View(InWords.Chinese).Offers[1].Words);
        Assert.All(View(InWords.English, tells: false).Offers, offer => Assert.DoesNotContain(offer.Words, word => word.Contains("helped the person before") || word.Contains("300 m")));
        Assert.All(View(InWords.English, tells: false).Offers, offer => Assert.Null(offer.Data.Weighed!.NotHelpedBefore));
    }

    [Fact]
    public void what_places_are_worth_to_others_is_said_by_the_way_and_the_version()
    {
        var why = Because with
        {
            DistanceMetres = 900,
            FirstBecause = OrderReasons.LeastPriced,
            Rank = 3,
            Priced = new Priced(7, 150),
            LeftOut = [new LeftOut(R3, ResponderKind.Group, ExclusionReasons.Full, 90, 9), new LeftOut(R2, ResponderKind.Group, ExclusionReasons.KeptForOthers, 500, 9)],
        };
        var state = Fold(Received(), Made(O1, R1) with { Explanation = why });
        var words = ExplanationView.Of(Need().NeedId, state).Offers[0].Words;
        Assert.Equal("It is 400 m further away than the nearest that could be asked, because others need the places there more.", words[1]);
        Assert.Equal("Others will need its places too: by version 7 of what they are worth it counted as 150 m further away than it is.", words[2]);
        Assert.Contains("2 were better placed but could not be asked, or kept for others:", words);
        Assert.Contains("比可以询问的之中最近的远 400 m，因为最近那家的名额别人更需要。", ExplanationView.Of(Need().NeedId, state, InWords.Chinese).Offers[0].Words);
    }

    [Fact]
    public void it_reads_the_same_in_chinese()
    {
        var why = Because with
        {
            Rank = 2,
            FirstBecause = OrderReasons.Nearest,
            RunnerUp = R3,
            RunnerUpDistanceMetres = 2100,
            LeftOut = [new LeftOut(R2, ResponderKind.Provider, ExclusionReasons.Closed, 40, 3)],
            OthersLeftOut = new Dictionary<string, int> { [ExclusionReasons.Full] = 2 },
        };
        var view = ExplanationView.Of(Need().NeedId, Fold(Received(), Made(O1, R1) with { Explanation = why }), InWords.Chinese);
        Assert.Equal(("zh", "正在询问 1 家。"), (view.Language, view.Now));
        Assert.Equal(
        [
            $"第 1 次询问的是小组 {R1}，距离 120 m，2 个名额当时占用 0 个。",
            "可以询问的之中它最近；下一个距离 2.1 km。",
            "有 1 家排在前面，但不能询问：",
            $"机构 {R2}，距离 40 m，停业。",
            "除此之外排在前面的：2 家没有空位。",
            "依据策略第 1 版、封闭区域第 0 版、它的名额记录第 1 版。",
            "消息还没有送到。",
        ], view.Offers[0].Words);
    }

    [Theory, InlineData("en"), InlineData("zh")]
    public void every_code_has_words(string language)
    {
        var inWords = InWords.In(language)!;
        foreach (var code in ExclusionReasons.InOrder.Append(NeedStateChanged.TellingIsBehind))
        {
            var state = Fold(Received(), new NeedWaits(Need().RequestId, code, new Dictionary<string, int>(), 1, Now));
            Assert.DoesNotMatch($"[(（]{code}", ExplanationView.Of(Need().NeedId, state, inWords).Now);
        }
        var codes = typeof(OrderReasons).GetFields().Select(field => (string)field.GetValue(null)!).ToList();
        Assert.Equal(11, codes.Count);
        foreach (var code in codes)
        {
            var words = ExplanationView.Of(Need().NeedId, Fold(Received(), Made(O1, R1) with { Explanation = Because with { FirstBecause = code } }), inWords).Offers[0].Words;
            Assert.DoesNotContain(words, word => word.Contains($"by the rule {code}") || word.Contains($"按规则 {code}"));
        }
    }
}
