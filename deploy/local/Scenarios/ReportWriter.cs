using System.Text.Encodings.Web;
using System.Text.Json;

namespace Huzhu.Local.Scenarios;

/// <summary>Writes report.json for programs and report.html for people, each replaced as a whole.</summary>
public static class ReportWriter
{
    static readonly JsonSerializerOptions Options = new(JsonSerializerDefaults.Web) { WriteIndented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <returns>The page.</returns>
    public static FileInfo Write(Report report, DirectoryInfo folder)
    {
        folder.Create();
        Replace(Path.Combine(folder.FullName, "report.json"), JsonSerializer.Serialize(report, Options) + "\n");
        var page = Path.Combine(folder.FullName, "report.html");
        Replace(page, Page.ReportPage.Render(report));
        return new FileInfo(page);
    }

    static void Replace(string file, string text)
    {
        var draft = file + ".new";
        File.WriteAllText(draft, text);
        File.Move(draft, file, overwrite: true);
    }
}
