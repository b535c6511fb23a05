namespace Huzhu.Tests.Unit.Requests.Channels;

/// <summary>Callbacks from public test suites, none of them written here: Tencent's samples, wechatpy, Senparc's WeiXinMPSDK.</summary>
internal static class WeChatVectors
{
    public sealed record Encrypted(string Token, string Key, string AppId, string Timestamp, string Nonce, string Signature, string Cipher, string Plain);

    /// <summary>URL verification with an encrypted echo, of Tencent's sample code.</summary>
    public static readonly Encrypted Echo = new("QDG6eK", "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C", "wx5823bf96d3bd56c7", "1409659589", "263014780",
        "5c45ff5e21c57e6ad56bac8758b79b1d9ac89fd3", "P9nAzCzyDtyTWESHep1vC5X9xho/qYX3Zpb4yKa9SKld1DsH3Iyt3tP3zNdtp+4RPcs8TgAE7OaBO+FZXvnaqQ==", "1616140317555161061");

    /// <summary>A text message, of Tencent's C# sample.</summary>
    public static readonly Encrypted Message = new("QDG6eK", "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C", "wx5823bf96d3bd56c7", "1409659813", "1372623149",
        "477715d11cdb4164915debcba66cb864d751f3e6",
        "RypEvHKD8QQKFhvQ6QleEB4J58tiPdvo+rtK1I9qca6aM/wvqnLSV5zEPeusUiX5L5X/0lWfrf0QADHHhGd3QczcdCUpj911L3vg3W/sYYvuJTs3TUUkSUXxaccAS0qhxchrRYt66wiSpGLYL42aM6A8dTT+6k4aSknmPj48kzJs8qLjvd4Xgpue06DOdnLxAUHzM6+kDZ+HMZfJYuR+LtwGc2hgf5gsijff0ekUNXZiqATP7PF5mZxZ3Izoun1s4zG4LUMnvw2r+KqCKIw+3IQH03v+BCA9nMELNqbSf6tiWSrXJB3LAVGUcallcrw8V2t9EL4EhzJWrQUax5wLVMNS0+rUPA3k22Ncx4XXZS9o0MBH27Bo6BpNelZpS+/uh9KsNlY6bHCmJU9p8g7m3fVKn28H3KDYA5Pl/T8Z1ptDAVe0lXdQ2YoyyH2uyPIGHBZZIs2pDBS8R07+qN+E7Q==",
        "<xml><ToUserName><![CDATA[wx5823bf96d3bd56c7]]></ToUserName>\n<FromUserName><![CDATA[mycreate]]></FromUserName>\n<CreateTime>1409659813</CreateTime>\n<MsgType><![CDATA[text]]></MsgType>\n<Content><![CDATA[hello]]></Content>\n<MsgId>4561255354251345929</MsgId>\n<AgentID>218</AgentID>\n</xml>");

    /// <summary>Line breaks are part of the plaintext.</summary>
    public static readonly Encrypted WithLineBreaks = new("spamtest", "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG", "wx2c2769f8efd9abc2", "1409735669", "1320562132",
        "5d197aaffba7e9b25a30732f161a50dee96bd5fa",
        "hyzAe4OzmOMbd6TvGdIOO6uBmdJoD0Fk53REIHvxYtJlE2B655HuD0m8KUePWB3+LrPXo87wzQ1QLvbeUgmBM4x6F8PGHQHFVAFmOD2LdJF9FrXpbUAh0B5GIItb52sn896wVsMSHGuPE328HnRGBcrS7C41IzDWyWNlZkyyXwon8T332jisa+h6tEDYsVticbSnyU8dKOIbgU6ux5VTjg3yt+WGzjlpKn6NPhRjpA912xMezR4kw6KWwMrCVKSVCZciVGCgavjIQ6X8tCOp3yZbGpy0VxpAe+77TszTfRd5RJSVO/HTnifJpXgCSUdUue1v6h0EIBYYI1BD1DlD+C0CR8e6OewpusjZ4uBl9FyJvnhvQl+q5rv1ixrcpCumEPo5MJSgM9ehVsNPfUM669WuMyVWQLCzpu9GhglF2PE=",
        "<xml><ToUserName><![CDATA[gh_10f6c3c3ac5a]]></ToUserName>\n<FromUserName><![CDATA[oyORnuP8q7ou2gfYjqLzSIWZf0rs]]></FromUserName>\n<CreateTime>1409735668</CreateTime>\n<MsgType><![CDATA[text]]></MsgType>\n<Content><![CDATA[abcdteT]]></Content>\n<MsgId>6054768590064713728</MsgId>\n</xml>");

    /// <summary>The key's last character has spare bits, of wechatpy.</summary>
    public static readonly Encrypted EchoOfWechatpy = new("123456", "kWxPEV2UEDyxWpmPdKC3F4dgPDmOvfKX1HGnEUDS1aR", "wx49f0ab532d5d035a", "1411443780", "437374425",
        "dd6b9c95b495b3f7e2901bfbc76c664930ffdb96", "4ByGGj+sVCYcvGeQYhaKIk1o0pQRNbRjxybjTGblXrBaXlTXeOo1+bXFXDQQb1o6co6Yh9Bv41n7hOchLF6p+Q==", "5927782489442352469");

    public static readonly IReadOnlyDictionary<string, Encrypted> All = new Dictionary<string, Encrypted>
    {
        ["echo"] = Echo,
        ["message"] = Message,
        ["with line breaks"] = WithLineBreaks,
        ["echo of wechatpy"] = EchoOfWechatpy,
    };

    private const string People = "<ToUserName><![CDATA[gh_a96a4a619366]]></ToUserName><FromUserName><![CDATA[olPjZjsXuQPJoV0HlruZkNzKc91E]]></FromUserName>";

    public const string Text = $"<xml>{People}<CreateTime>1357986928</CreateTime><MsgType><![CDATA[text]]></MsgType><Content><![CDATA[TNT2]]></Content><MsgId>5832509444155992350</MsgId></xml>";

    public const string Location = $"<xml>\n  {People}\n  <CreateTime>1358061152</CreateTime><MsgType><![CDATA[location]]></MsgType><Location_X>31.285774</Location_X><Location_Y>120.597610</Location_Y><Scale>19</Scale><Label><![CDATA[中国江苏省苏州市沧浪区桐泾南路251号-309号]]></Label><MsgId>5832828233808572154</MsgId>\n</xml>";

    public const string Voice = $"<xml>{People}<CreateTime>1361430302</CreateTime><MsgType><![CDATA[voice]]></MsgType><MediaId><![CDATA[X1yfgB2XI-faU6R2jmKz0X1JZmPCxIvM-9ktt4K92BB9577SCi41S-qMl60q5DJo]]></MediaId><Format><![CDATA[amr]]></Format><MsgId>5847298622973403529</MsgId></xml>";

    public const string LocationEvent = $"<xml>{People}<CreateTime>1358061152</CreateTime><MsgType><![CDATA[event]]></MsgType><Event><![CDATA[LOCATION]]></Event><Latitude>23.137466</Latitude><Longitude>113.352425</Longitude><Precision>119.385040</Precision></xml>";

    /// <summary>A message of any kind, in Senparc's form.</summary>
    public static string Of(string type, string fields) => $"<xml>{People}<CreateTime>1358061152</CreateTime><MsgType><![CDATA[{type}]]></MsgType>{fields}</xml>";
}
