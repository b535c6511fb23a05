using Huzhu.Contracts;
using Huzhu.Contracts.Requests.V1;
using Huzhu.Matching.Domain;
using Huzhu.Matching.Ranking;
using Huzhu.TestKit;
using Xunit;
using static Huzhu.Tests.Unit.Matching.Make;

namespace Huzhu.Tests.Unit.Matching;

public class SpatialIndexTests
{
    private static readonly Zones None = new(MeasuresState.Initial);

    // ./huzhu bench exactness does ten million.
    [Fact]
    public void a_search_equals_brute_force_whatever_changed_before() => Assert.Null(IndexCases.FirstWrong(seed: 1, searches: 300_000));

    [Fact]
    public void an_update_allocates_nothing()
    {
        var index = new SpatialIndex();
        var handles = Enumerable.Range(0, 5_000).Select(number => index.Add(new GeoPoint(number / 100.0, number % 100), double.PositiveInfinity, 1, 0, (ulong)number)).ToList();
        index.SearchNear(Centre, 1, withinReach: false);
        index.Update(handles[0], 2, 0.5);
        var before = GC.GetAllocatedBytesForCurrentThread();
        foreach (var handle in handles)
            index.Update(handle, 2, 0.5);
        Assert.Equal(before, GC.GetAllocatedBytesForCurrentThread());
        index.SearchLight(1);
        Assert.False(index.Next(out _, out _));
    }

    [Fact]
    public void every_trait_has_its_own_bit()
    {
        ulong[] traits =
        [
            .. ServiceKinds.All.Select(kind => Traits.Of(kind)), Traits.Of("unknown"), Traits.Available, .. Enum.GetValues<ResponderKind>().SelectMany(kind => new[] { Traits.Of(kind), Traits.AvailableAs(kind) }),
            .. Enum.GetValues<DeliveryMode>().Select(mode => Extra(Need(mode: mode, subDistrict: null), Traits.Of(ServiceKinds.Meals) | Traits.Available)),
            .. Enum.GetValues<CommunicationNeed>().Select(one => Extra(Need(communication: [one], subDistrict: null), Traits.WantedBy(Need(subDistrict: null), None))),
            Extra(Need(), Traits.WantedBy(Need(subDistrict: null), None)), Traits.IsIn("J"), .. Enumerable.Range(0, 5).Select(zone => Traits.At(zone)),
        ];
        Assert.All(traits, trait => Assert.True(ulong.IsPow2(trait & SpatialIndex.AllTraits)));
        Assert.Equal(traits.Length, traits.Distinct().Count());

        static ulong Extra(Need need, ulong without) => Traits.WantedBy(need, None) & ~without;
    }

    [Fact]
    public void whoever_provides_a_root_provides_what_is_below_it_and_what_is_not_known_yet()
    {
        var traits = Traits.Of(Profile(kinds: [ServiceKinds.Specialised]));
        Assert.All([ServiceKinds.Medicine, ServiceKinds.Rescue, "specialised.new"], kind => Assert.NotEqual(0ul, traits & Traits.Of(kind)));
        Assert.Equal(0ul, traits & Traits.Of(ServiceKinds.Meals));
        Assert.False(Traits.IsExact("specialised.new"));
    }
}
