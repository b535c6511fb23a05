using Huzhu.Contracts;
using Huzhu.Groups.Features;
using Xunit;

namespace Huzhu.Tests.Unit.Groups;

public class EntryBodyTests
{
    private static readonly EntryBody Good = new(null, "Deaf mothers of J", [new SiteBody(31.22, 121.44, "J")], 3000, [], ["meals", "specialised"],
        ["online", "offline"], ["sign-language", "text-only"], 8, false, true, ["local-coordinator"], "Ms Lin",
        [new ChannelBody("webhook", "https://group.example/offers", "whsec_1")]);

    [Fact]
    public void a_good_body_has_no_errors_and_becomes_an_entry()
    {
        Assert.Empty(Good.Validate());
        var entry = Good.ToEntry(["somebody"]);
        Assert.Equal("Deaf mothers of J", entry.Name);
        Assert.Equal([DeliveryMode.Online, DeliveryMode.Offline], entry.Modes);
        Assert.Equal([CommunicationNeed.SignLanguage, CommunicationNeed.TextOnly], entry.CommunicationAbilities);
        Assert.Equal(["local-coordinator"], entry.ManagedBy);
        Assert.Equal(["somebody"], (Good with { ManagedBy = null }).ToEntry(["somebody"]).ManagedBy);
    }

    [Fact]
    public void an_empty_body_is_told_everything_that_is_missing_at_once()
    {
        var errors = new EntryBody(null, null, null, null, null, null, null, null, null, null, null, null, null, null).Validate();
        Assert.Equal(["capacity", "modes", "name", "serviceKinds", "sites"], errors.Keys.Order());
    }

    public static TheoryData<string, EntryBody> Wrong => new()
    {
        { "id", Good with { Id = Guid.Empty } },
        { "name", Good with { Name = " " } },
        { "name", Good with { Name = new string('a', 201) } },
        { "name", Good with { Name = "a\0b" } },
        { "sites", Good with { Sites = [] } },
        { "sites", Good with { Sites = [.. Enumerable.Repeat(new SiteBody(1, 1, "J"), 101)] } },
        { "sites[0].lat", Good with { Sites = [new SiteBody(90.1, 1, "J")] } },
        { "sites[0].lat", Good with { Sites = [new SiteBody(null, 1, "J")] } },
        { "sites[0].lat", Good with { Sites = [new SiteBody(double.NaN, 1, "J")] } },
        { "sites[1].lon", Good with { Sites = [new SiteBody(1, 1, "J"), new SiteBody(1, -180.5, "J")] } },
        { "sites[0].subDistrict", Good with { Sites = [new SiteBody(1, 1, "")] } },
        { "sites[0].subDistrict", Good with { Sites = [new SiteBody(1, 1, new string('J', 101))] } },
        { "radiusMetres", Good with { RadiusMetres = 0 } },
        { "radiusMetres", Good with { RadiusMetres = 20_037_509 } },
        { "radiusMetres", Good with { RadiusMetres = double.NaN } },
        { "subDistricts", Good with { SubDistricts = [.. Enumerable.Repeat("J", 101)] } },
        { "subDistricts[0]", Good with { SubDistricts = [""] } },
        { "serviceKinds", Good with { ServiceKinds = [] } },
        { "serviceKinds[1]", Good with { ServiceKinds = ["meals", "magic"] } },
        { "serviceKinds[0]", Good with { ServiceKinds = [null] } },
        { "modes", Good with { Modes = [] } },
        { "modes[0]", Good with { Modes = ["flying"] } },
        { "modes[0]", Good with { Modes = ["Online"] } },
        { "communicationAbilities[0]", Good with { CommunicationAbilities = ["telepathy"] } },
        { "capacity", Good with { Capacity = -1 } },
        { "capacity", Good with { Capacity = 100_001 } },
        { "managedBy", Good with { ManagedBy = [.. Enumerable.Repeat("c", 21)] } },
        { "managedBy[0]", Good with { ManagedBy = [" "] } },
        { "coordinatorName", Good with { CoordinatorName = new string('a', 201) } },
        { "channels", Good with { Channels = [.. Enumerable.Repeat(Good.Channels![0], 6)] } },
        { "channels[0].kind", Good with { Channels = [new ChannelBody("Web Hook", "x", null)] } },
        { "channels[0].kind", Good with { Channels = [new ChannelBody(null, "x", null)] } },
        { "channels[0].address", Good with { Channels = [new ChannelBody("file", "", null)] } },
        { "channels[0].address", Good with { Channels = [new ChannelBody("file", new string('a', 501), null)] } },
        { "channels[0].address", Good with { Channels = [new ChannelBody("webhook", "group.example/offers", null)] } },
        { "channels[0].address", Good with { Channels = [new ChannelBody("webhook", "ftp://group.example/offers", null)] } },
        { "channels[0].address", Good with { Channels = [new ChannelBody("webhook", "/offers", null)] } },
        { "channels[0].secret", Good with { Channels = [new ChannelBody("webhook", "https://a.example", new string('s', 501))] } },
    };

    [Theory, MemberData(nameof(Wrong))]
    public void each_wrong_field_is_named_by_its_path_and_no_other(string path, EntryBody body) =>
        Assert.Equal([path], body.Validate().Keys);

    [Fact]
    public void several_wrong_fields_are_all_named()
    {
        var errors = (Good with { Name = "", Capacity = -1, Sites = [new SiteBody(91, 181, null)] }).Validate();
        Assert.Equal(["capacity", "name", "sites[0].lat", "sites[0].lon", "sites[0].subDistrict"], errors.Keys.Order());
    }

    [Fact]
    public void the_limits_themselves_are_accepted() => Assert.Empty((Good with
    {
        Name = new string('a', 200),
        Capacity = 0,
        RadiusMetres = 20_037_508,
        Sites = [.. Enumerable.Repeat(new SiteBody(-90, 180, new string('J', 100)), 100)],
        Channels = [.. Enumerable.Repeat(Good.Channels![0], 5)],
    }).Validate());

    [Fact]
    public void contact_that_is_left_out_stays_and_what_is_empty_goes()
    {
        var stored = new Contact("Ms Lin", [new ContactChannel("webhook", "https://group.example/offers", "whsec_1")]);
        Assert.Equal(stored, (Good with { CoordinatorName = null, Channels = null }).ToContact(stored));
        Assert.Null((Good with { CoordinatorName = "", Channels = [] }).ToContact(stored));
        Assert.Equal(stored with { CoordinatorName = null }, (Good with { CoordinatorName = "", Channels = null }).ToContact(stored));
    }

    [Fact]
    public void a_secret_stays_with_its_address_until_it_is_replaced_or_emptied()
    {
        var stored = new Contact(null, [new ContactChannel("webhook", "https://group.example/offers", "whsec_1")]);
        string? SecretAfter(string address, string? secret) =>
            (Good with { CoordinatorName = null, Channels = [new ChannelBody("webhook", address, secret)] }).ToContact(stored)!.Channels[0].Secret;
        Assert.Equal("whsec_1", SecretAfter("https://group.example/offers", null));
        Assert.Equal("whsec_2", SecretAfter("https://group.example/offers", "whsec_2"));
        Assert.Null(SecretAfter("https://group.example/offers", ""));
        // A secret must not follow to an address that somebody else may own.
        Assert.Null(SecretAfter("https://elsewhere.example/offers", null));
    }
}
