using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Huzhu.Contracts;
using Huzhu.Groups.Domain;
using Huzhu.Groups.Formats.Hsds;
using Microsoft.Extensions.Configuration;
using Xunit;

namespace Huzhu.Tests.Unit.Groups;

/// <summary>What words of other directories mean here, and what is never taken for granted.</summary>
public class HsdsTests
{
    private static TermMapping Mapping(string? term = "city:FOOD", string? meaning = "meals") => new(new ConfigurationBuilder()
        .AddInMemoryCollection(new Dictionary<string, string?> { ["Formats:Hsds:Mapping:0:Term"] = term, ["Formats:Hsds:Mapping:0:Meaning"] = meaning }).Build());

    private static JsonObject Service(string taxonomy = "city", string code = "FOOD") => new()
    {
        ["id"] = "5b2f2a86-6c0f-4a53-9c9a-0d6f1c9a7e11",
        ["name"] = "Canteen",
        ["status"] = "active",
        ["attributes"] = new JsonArray(new JsonObject { ["taxonomy_term"] = new JsonObject { ["taxonomy"] = taxonomy, ["code"] = code, ["name"] = "Food" } }),
        ["service_areas"] = new JsonArray(new JsonObject { ["name"] = "North" }, new JsonObject { ["name"] = "South" }),
    };

    [Theory]
    [InlineData("2023-03-15T10:30:45.123Z", "2023-03-15T10:30:45.123Z"), InlineData("2023-03-15T10:30:45+08:00", "2023-03-15T10:30:45+08:00")]
    [InlineData("2023-03-15", "2023-03-15T00:00:00+00:00"), InlineData("Wed, 15 Mar 2023 10:30:45 GMT", "2023-03-15T10:30:45+00:00")]
    [InlineData("10:30T", null), InlineData("T", null), InlineData("last Tuesday", null), InlineData("", null)]
    public void a_moment_is_shown_as_the_standard_writes_it_or_not_at_all(string written, string? shown) =>
        Assert.Equal(shown, (string?)Standard.Fitting(new JsonObject { ["last_modified"] = written })["last_modified"]);

    private static (ReadService Read, Dictionary<string, UnmappedTerm> Unmapped) Read(JsonObject service, TermMapping mapping)
    {
        var unmapped = new Dictionary<string, UnmappedTerm>();
        return (Import.Read(1, service, mapping, ResponderKind.Provider, unmapped), unmapped);
    }

    [Theory]
    [InlineData(null, "meals", "Formats:Hsds:Mapping:0: set Term"), InlineData("city:FOOD", "", "Formats:Hsds:Mapping:0: set Term")]
    [InlineData("city:FOOD", "haircuts", "Formats:Hsds:Mapping:0:Meaning: 'haircuts'")]
    public void a_bad_setting_is_told_with_its_key(string? term, string? meaning, string sentence) =>
        Assert.StartsWith(sentence, Assert.Throws<InvalidOperationException>(() => Mapping(term, meaning)).Message);

    [Fact]
    public void an_import_knows_the_settings_and_its_own_words_win()
    {
        var (mapping, errors) = Mapping().With([new("CITY:food", "donations.goods"), new("area:North", "J"), new("city:x", "haircuts"), new("city:y", null)]);
        Assert.Equal(["mapping.city:x", "mapping.city:y"], errors.Keys);
        Assert.Equal(("donations.goods", "meals", "J"), (mapping.Find("city:FOOD"), Mapping().Find("City:Food"), mapping.Find("area:north")));
    }

    [Fact]
    public void every_word_without_a_meaning_is_asked_for_once()
    {
        var (_, unmapped) = Read(Service(code: "SHOES"), Mapping());
        Assert.Equal(["city:SHOES", "area:North", "area:South"], unmapped.Values.Select(term => term.Term));
        var (read, none) = Read(Service(), Mapping().With([new("area:North", "J"), new("area:South", "ignore")]).Mapping);
        Assert.Empty(none);
        Assert.Equal(["meals"], read.Body!.ServiceKinds!);
        Assert.Equal(["J"], read.Body.SubDistricts!);
        Assert.Empty(Read(Service(), Mapping().With([new("area:North", "J"), new("area:South", "everywhere")]).Mapping).Read.Body!.SubDistricts!);
    }

    [Fact]
    public void a_word_of_ours_needs_no_explanation_and_one_that_nobody_knows_is_an_error()
    {
        var (read, unmapped) = Read(Service(Vocabulary.Kinds, "meals"), Mapping());
        Assert.Empty(unmapped);
        Assert.Empty(read.Reasons);
        Assert.Contains("communicationAbilities[0]", Read(Service(Vocabulary.Kinds, "haircuts"), Mapping()).Read.Body!.Validate().Keys);
    }

    [Fact]
    public void contact_data_is_not_kept_and_the_order_of_keys_is_no_change()
    {
        var one = Import.Parse(Encoding.UTF8.GetBytes("""{"status": "active", "email": "a@b.example", "contacts": [{"name": "Ann"}], "organization": {"phones": [1], "name": "O", "locations": []}, "minimum_age": "12", "url": 7, "id": "1"}"""))!;
        var other = Import.Parse(Encoding.UTF8.GetBytes("""{"id": "1", "url": "7", "organization": {"name": "O"}, "status": "active", "minimum_age": 12}"""))!;
        var records = new[] { one, other }.Select(document => Read(document.AsObject(), Mapping()).Read.Record!.Record).Distinct();
        Assert.Equal("""{"id":"1","minimum_age":12,"organization":{"name":"O"},"status":"active","url":"7"}""", Assert.Single(records));
    }

    [Theory, InlineData("{\"a\": 1, \"a\": 2}"), InlineData("{\"a\": \"\\ud800\"}"), InlineData("{\"\\u0000\": 1}"), InlineData("[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]")]
    public void what_cannot_be_kept_is_refused_before_it_is_read(string json) => Assert.ThrowsAny<JsonException>(() => Import.Parse(Encoding.UTF8.GetBytes(json)));
}
