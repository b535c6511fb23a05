using System.Text.Json.Nodes;
using Huzhu.Contracts;

namespace Huzhu.Requests.Channels.Open311;

/// <summary><c>GET discovery</c>, <c>GET services</c>, <c>GET services/{code}</c>: what can be asked for here. The code list of service kinds is the list of services.</summary>
public static class Discovery
{
    private const string Specification = "http://wiki.open311.org/GeoReport_v2";
    /// <summary>When what these answers say last changed.</summary>
    private const string Changeset = "2026-11-24T00:00:00Z";

    private static readonly Dictionary<string, (string Name, string Description)> Services = new()
    {
        [ServiceKinds.BasicNeeds] = ("Basic needs", "Daily needs of any kind that somebody cannot meet alone"),
        [ServiceKinds.Shelter] = ("Shelter", "A safe place to stay"),
        [ServiceKinds.Water] = ("Water", "Drinking water"),
        [ServiceKinds.EpidemicControl] = ("Epidemic control", "Masks, tests, disinfection, help with isolation"),
        [ServiceKinds.Specialised] = ("Specialised help", "Help that takes training, of any kind"),
        [ServiceKinds.Medicine] = ("Medicine", "Medicine fetched and brought"),
        [ServiceKinds.Counselling] = ("Counselling", "Somebody to talk to: psychological help"),
        [ServiceKinds.MedicalCare] = ("Medical care", "Care by a nurse or doctor"),
        [ServiceKinds.Rescue] = ("Rescue", "Somebody is trapped or in danger"),
        [ServiceKinds.Meals] = ("Meals", "Food and cooked meals"),
        [ServiceKinds.Donations] = ("Donations", "Donated money or goods"),
        [ServiceKinds.Goods] = ("Goods", "Donated goods"),
        [ServiceKinds.Money] = ("Money", "Donated money"),
    };

    public static void Map(IEndpointRouteBuilder resources)
    {
        GeoReport.Map(resources, "GET", "discovery", ShowAsync);
        GeoReport.Map(resources, "GET", "services", ListAsync);
        resources.MapGet("/services/{code}", DefineAsync);
    }

    public static string NameOf(string kind) => Services[kind].Name;

    private static async Task<IResult> ShowAsync(HttpContext http, Jurisdictions jurisdictions)
    {
        var (call, refused) = await GeoReport.AdmitAsync(http, jurisdictions, Scope.None);
        return refused ?? GeoReport.Of(http, "discovery", new JsonObject
        {
            ["changeset"] = Changeset,
            ["contact"] = call!.Jurisdiction.Contact,
            ["key_service"] = "Keys are given by the operating centre.",
            ["endpoints"] = new JsonArray(new JsonObject
            {
                ["specification"] = Specification,
                ["url"] = $"{http.Request.Scheme}://{http.Request.Host}{http.Request.PathBase}{GeoReport.Prefix}",
                ["changeset"] = Changeset,
                ["type"] = "production",
                ["formats"] = new JsonArray("text/xml", "application/json"),
            }),
        });
    }

    private static async Task<IResult> ListAsync(HttpContext http, Jurisdictions jurisdictions)
    {
        var (_, refused) = await GeoReport.AdmitAsync(http, jurisdictions, Scope.None);
        return refused ?? GeoReport.Of(http, "services", new JsonArray([.. ServiceKinds.All.Select(kind => new JsonObject
        {
            ["service_code"] = kind,
            ["service_name"] = Services[kind].Name,
            ["description"] = Services[kind].Description,
            ["metadata"] = true,
            // The id comes with the answer; no service of this one hands out tokens.
            ["type"] = "realtime",
            ["keywords"] = string.Join(", ", kind.Split('.', '-')),
            ["group"] = Services[ServiceKinds.RootOf(kind)].Name,
        })]));
    }

    private static async Task<IResult> DefineAsync(HttpContext http, string code, Jurisdictions jurisdictions)
    {
        var (_, refused) = await GeoReport.AdmitAsync(http, jurisdictions, Scope.None);
        var kind = GeoReport.WithoutSuffix(code);
        return refused ?? (ServiceKinds.IsKnown(kind)
            ? GeoReport.Of(http, "service_definition", new JsonObject
            {
                ["service_code"] = kind,
                ["attributes"] = new JsonArray(
                    Attribute(1, PostRequest.Mode, "singlevaluelist", "How the help is given; offline unless told", Words.All<DeliveryMode>()),
                    Attribute(2, PostRequest.Communication, "multivaluelist", "How the person must be spoken to", Words.All<CommunicationNeed>()),
                    Attribute(3, PostRequest.Urgency, "singlevaluelist", "How fast the need must be met; hardship unless told", Words.All<Urgency>()),
                    Attribute(4, PostRequest.Quantity, "number", "How many; 1 unless told", []),
                    Attribute(5, PostRequest.ExternalId, "string", "Your own id of the request: sent again with the same content, it is the same request", [])),
            })
            : GeoReport.Error(http, 404, "service_code was not found."));
    }

    private static JsonObject Attribute(int order, string code, string type, string description, IReadOnlyList<string> values) => new()
    {
        ["variable"] = true,
        ["code"] = code,
        ["datatype"] = type,
        ["required"] = false,
        ["datatype_description"] = "",
        ["order"] = order,
        ["description"] = description,
        ["values"] = new JsonArray([.. values.Select(word => new JsonObject { ["key"] = word, ["name"] = word.Replace('-', ' ') })]),
    };
}
